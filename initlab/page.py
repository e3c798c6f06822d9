"""What core widgets leave out of a page: colours of the dark, names and keys, spoken words."""

import html

from initlab.themes import LIGHT

# The picture is light: where the page is dark it is turned, and hues are turned back. A slider's
# handle shows that it has the focus, and gets the name that stands beside it, for who hears the
# page; a picture has its sentence for a name, which comes into an element that stays, so that it
# is spoken. All may be drawn after this, so that is tried for some seconds. And controls get the
# keys that move them: Notebook 7 would walk through cells with the arrows.
STYLE = """<style onload="
  (function name(times) {
    for (const slider of document.querySelectorAll('.initlab .widget-slider'))
      slider.querySelector('.noUi-handle, .ui-slider-handle')?.setAttribute(
        'aria-label', slider.querySelector('.widget-label').textContent);
    for (const image of document.querySelectorAll('.initlab img.widget-image')) {
      const words = image.closest('.initlab').querySelector('[role=status]')?.parentElement;
      if (!words) continue;
      words.id ||= 'initlab-' + Math.random().toString(36).slice(2);
      words.setAttribute('aria-live', 'polite');
      image.setAttribute('aria-labelledby', words.id);
    }
    if (times) setTimeout(name, 500, times - 1);
  })(20);
  window.initlabKeys ??= window.addEventListener('keydown', event => {
    if (event.target.matches?.('.initlab .noUi-handle, .initlab select, .initlab button'))
      event.target.toggleAttribute('data-lm-suppress-shortcuts',
        /^(Arrow.*|Home|End|Enter| )$/.test(event.key)
        &amp;&amp; !event.shiftKey &amp;&amp; !event.ctrlKey &amp;&amp; !event.metaKey);
  }, true) ?? true">
body[data-jp-theme-light="false"] .initlab-auto, html[theme="dark"] .initlab-auto
{filter: invert(0.93) hue-rotate(180deg)}
.initlab .noUi-handle:focus-visible, .initlab .ui-slider-handle:focus-visible,
.initlab button:focus-visible {outline: 2px solid FOCUS; outline-offset: 2px}
</style>""".replace("FOCUS", LIGHT.blue)


def status(text: str) -> str:
    """A sentence that a screen reader speaks when it changes, in room for three lines.

    The cell would else grow and shrink with it, and the page jump.
    """
    style = "line-height:1.4;min-height:4.2em;max-width:1000px"
    return f"<p role='status' aria-live='polite' style='{style}'>{html.escape(text)}</p>"


def code(line: str) -> str:
    """A line of Python, with a button that copies it."""
    return (
        f"<code style='user-select:all'>{html.escape(line)}</code> "
        "<button type='button' onclick='navigator.clipboard.writeText("
        "this.previousElementSibling.textContent)'>copy</button>"
    )

"""A notebook in a page whose pictures are timed, and the line to its kernel: for live_browser."""

from pathlib import Path

import nbformat
from jupyter_client import BlockingKernelClient

from tools import lab

# Runs in the page. A picture counts from the end of the frame that shows it.
SCRIPT = """
window.initlab = {
  keyed: 0, moved: 0, shown: [], waiting: null,
  watch(root, digests) {
    this.observer?.disconnect();
    this.shown = [];
    let last = root.querySelector('img')?.src;
    const see = async () => {
      const image = root.querySelector('img');
      if (!image?.src || image.src === last) return;
      last = image.src;
      const seen = {at: null, digest: null};
      const bytes = digests && fetch(last).then(reply => reply.arrayBuffer()).catch(() => null);
      try { await image.decode(); } catch { return; }  // a newer one took its place
      await new Promise(requestAnimationFrame);
      await new Promise(painted => setTimeout(painted));
      seen.at = performance.now();
      this.shown.push(seen);
      this.waiting?.(seen.at);
      this.waiting = null;
      if (digests && await bytes) {
        const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await bytes));
        seen.digest = Array.from(digest, byte => byte.toString(16).padStart(2, '0')).join('');
      }
    };
    this.observer = new MutationObserver(see);
    this.observer.observe(
      root, {subtree: true, childList: true, attributes: true, attributeFilter: ['src']});
  },
  next() { return {picture: new Promise(resolve => { this.waiting = resolve; })}; },
};
document.addEventListener('keydown', event => { window.initlab.keyed = event.timeStamp; }, true);
document.addEventListener(
  'pointermove', event => { window.initlab.moved = event.timeStamp; }, true);
"""


class Notebook:
    """A notebook open in a page, and a line to its kernel."""

    def __init__(self, page, server: lab.Lab, home: Path, name: str, cells: list[str]):
        self.page, self.server, self.home, self.name = page, server, home, f"{name}.ipynb"
        kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
        cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
        notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
        nbformat.write(notebook, home / "notebooks" / self.name)
        page.goto(server.url(self.name))
        page.evaluate(SCRIPT)
        page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for()
        self.client = self._connect()

    def _connect(self) -> BlockingKernelClient:
        sessions = self.server.ask("api/sessions")
        (kernel,) = [one["kernel"]["id"] for one in sessions if one["path"] == self.name]
        client = BlockingKernelClient()
        client.load_connection_file(str(self.home / "runtime" / f"kernel-{kernel}.json"))
        client.start_channels()
        client.wait_for_ready(timeout=60)
        return client

    def run(self) -> None:
        """Run all cells, and wait until they are done."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        self.ask("None")  # which stands last in the queue

    def ask(self, question: str, order: str = ""):
        """Execute an order in the kernel, and return what an expression is then."""
        reply = self.client.execute(
            order, silent=True, user_expressions={"it": question}, reply=True, timeout=300
        )["content"]
        if reply["status"] != "ok" or reply["user_expressions"]["it"]["status"] != "ok":
            raise RuntimeError(f"the kernel did not answer {question!r}: {reply}")
        return eval(reply["user_expressions"]["it"]["data"]["text/plain"], {"__builtins__": {}})

    def output(self, cell: int):
        """The part of the page below a cell."""
        return self.page.locator(".jp-CodeCell").nth(cell).locator(".jp-Cell-outputArea")

    def handle(self, cell: int, slider: str):
        """What of a slider takes the keyboard and the mouse."""
        sliders = self.output(cell).locator(".widget-slider")
        label = self.page.locator(".widget-label", has_text=slider)
        return sliders.filter(has=label).get_by_role("slider").first

    def close(self) -> None:
        """End the kernel."""
        self.client.shutdown()
        self.client.stop_channels()

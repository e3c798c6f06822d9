"""Serve the explorer to a class, a kernel a reader.

By default to this machine alone. --listen 0.0.0.0 serves the network that the machine is in:
then whoever has the address can open the explorer, though not run code or read files.
"""

import argparse
import ipaddress
import math
import re
import secrets
import socket
import sys

import psutil

from tools.app.kernels import GIGABYTE
from tools.app.server import ROOT, Classroom, configure

FIRST_PORT = 8866  # Voila's own
USUAL_GIGABYTES = 0.5  # what a reader's kernel keeps, measured by `python -m benchmarks classroom`
MANY_READERS = 200


def number(name: str, low: float, high: float, kind=float):
    """Give a reader of numbers for argparse; its errors say what is allowed and what is nearest."""

    def read(text: str):
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if low <= value <= high:
            return value
        whole = "a whole number" if kind is int else "a number"
        hint = "" if math.isnan(value) else f"; the nearest is {min(max(value, low), high):g}"
        raise argparse.ArgumentTypeError(
            f"{text!r} is not {whole} of {name} from {low:g} to {high:g}{hint}"
        )

    return read


def address(text: str) -> str:
    """Read the address to listen at."""
    try:
        return str(ipaddress.ip_address("127.0.0.1" if text == "localhost" else text))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no address of this machine: 127.0.0.1 serves this machine alone,"
            " 0.0.0.0 all networks that it is in"
        ) from None


def token(text: str) -> str:
    """Read the word that the address ends with; none for none."""
    if text == "none":
        return ""
    if not re.fullmatch(r"[A-Za-z0-9_-]{8,}", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not 8 or more letters, digits, _ or -; 'none' asks readers for no token"
        )
    return text


def read(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; stop with a sentence where it cannot be met."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.app",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--readers",
        type=number("readers", 1, MANY_READERS, int),
        default=20,
        help="places (20); who comes later is asked to wait",
    )
    add(
        "--warm",
        type=number("kernels", 0, MANY_READERS, int),
        help="kernels that are made ready before readers come (as many as there are readers)",
    )
    add(
        "--memory",
        type=number("GB", 0.5, 64),
        default=1.5,
        help="GB of memory that a reader's kernel may keep (1.5)",
    )
    add(
        "--idle",
        type=number("minutes", 0.05, 1440),
        default=20,
        help="minutes without a move, after which a reader's kernel is ended (20)",
    )
    add(
        "--listen",
        type=address,
        default="127.0.0.1",
        help="address to listen at (127.0.0.1: this machine alone; 0.0.0.0: its networks)",
    )
    add("--port", type=number("ports", 1, 65535, int), default=FIRST_PORT, help="port (8866)")
    add(
        "--token",
        type=token,
        default=secrets.token_hex(16),
        help="word that the address ends with (a new one each time); none for none",
    )
    settings = parser.parse_args(arguments)
    if settings.warm is None:
        settings.warm = settings.readers
    if settings.warm > settings.readers:
        parser.error(f"--warm {settings.warm} is more than --readers {settings.readers}")
    if not is_free(settings.listen, settings.port):
        parser.error(f"port {settings.port} of {settings.listen} is taken; name another by --port")
    settings.folder = ROOT / "build" / "app"
    return settings


def is_free(listen: str, port: int) -> bool:
    """Whether one can listen there."""
    with socket.socket(family(listen)) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as tornado does
        try:
            attempt.bind((listen, port))
        except OSError:
            return False
    return True


def family(listen: str) -> socket.AddressFamily:
    """The family of an address."""
    return socket.AF_INET6 if ":" in listen else socket.AF_INET


def to_hand_out(settings) -> str:
    """The address that readers open."""
    host = settings.listen
    if ipaddress.ip_address(host).is_unspecified:
        host = outer_address(host)
    host = f"[{host}]" if ":" in host else host
    query = f"/?token={settings.token}" if settings.token else "/"
    return f"http://{host}:{settings.port}{query}"


def outer_address(listen: str) -> str:
    """The address of this machine that others see; nothing is sent to find it."""
    with socket.socket(family(listen), socket.SOCK_DGRAM) as attempt:
        try:
            # an address kept for documentation: only the way to it is asked for
            attempt.connect(("2001:db8::1" if ":" in listen else "192.0.2.1", 9))
            return attempt.getsockname()[0]
        except OSError:
            return socket.gethostname()


def notes(settings) -> list[str]:
    """What to say when it starts: the address, the limits, and what to beware of."""
    lines = [
        f"The explorer, for {settings.readers} readers:  {to_hand_out(settings)}",
        f"Kernels that are made ready now: {settings.warm}. Each may keep {settings.memory:g} GB,"
        f" and is ended after {settings.idle:g} minutes without a move. Ctrl+C stops all.",
    ]
    room, needed = psutil.virtual_memory().available / GIGABYTE, USUAL_GIGABYTES * settings.readers
    if needed > room:
        lines.append(
            f"Beware: {settings.readers} readers usually need {needed:.1f} GB, and {room:.1f} GB of"
            f" memory are free. --readers {max(1, int(room / USUAL_GIGABYTES))} would fit."
        )
    if not ipaddress.ip_address(settings.listen).is_loopback:
        who = "who has this address" if settings.token else "anybody"
        lines.append(
            f"Beware: {who} in the network can open the explorer, and the network can read what is"
            " sent, the token too: it is not encrypted. Readers cannot run code or read files."
        )
    elif not settings.token:
        lines.append("Beware: whoever uses this machine can open the explorer, without a token.")
    return lines


def main() -> None:
    """Serve until it is stopped."""
    settings = read()
    settings.folder.mkdir(parents=True, exist_ok=True)
    print("\n".join(notes(settings)), flush=True)
    Classroom.launch_instance([], config=configure(settings))


if __name__ == "__main__":
    sys.exit(main())

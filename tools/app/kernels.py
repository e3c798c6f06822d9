"""Kernels of a class: so many and no more, ready before they are asked for, ended when idle."""

import asyncio
import contextlib
import os
from pathlib import Path

import psutil
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado import ioloop, web
from traitlets import Float, Integer, Unicode, default

from tools import programs

# Programs for other widths and types, which explorers compile when nothing happens, would double
# a kernel's memory, and twenty of them would take the cores from who moves something.
QUIET = "from initlab.warming import WARMER; WARMER.add = lambda key, task: None\n"
TEND_SECONDS = 2
READY_SECONDS = 180  # for a kernel to start, on a machine that starts others at the same time
GIGABYTE = 1e9

ENDED = {
    "idle": "Nothing was moved for {idle:g} minutes, so this explorer made room for others.",
    "memory": "This explorer needed more than {memory:g} GB of memory, and was ended.",
    "died": "This explorer's kernel ended by itself, which it should not.",
}


class OwnPython(KernelSpecManager):
    """The kernel of this very Python, whatever kernels are installed for others."""

    @default("kernel_dirs")
    def _no_folders(self):
        return []


class Kernels(AsyncMappingKernelManager):
    """Gives each reader a kernel of his own, as long as there are places."""

    readers = Integer(20, config=True, help="places")
    warm = Integer(20, config=True, help="kernels that wait, ready, for readers")
    memory = Float(1.5, config=True, help="GB that a kernel may keep resident")
    idle = Float(20, config=True, help="minutes without a move, after which a kernel is ended")
    explorer = Unicode(config=True, help="the code whose last line is the explorer")
    folder = Unicode(config=True, help="where compiled programs are kept, for all kernels")

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.ended = {}  # kernel -> why, for who still looks at its page
        self.given = set()  # kernels of readers
        self._waiting = []  # kernels that are ready
        self._starting = 0  # kernels that a reader waits for
        self._heating = set()  # tasks, one for each kernel that is being made ready
        self._tending = False
        self._announced = False
        ioloop.PeriodicCallback(self.tend, 1000 * TEND_SECONDS).start()

    # --- places ----------------------------------------------------------------------------

    @property
    def free(self) -> int:
        """How many more readers may come."""
        return self.readers - len(self.given) - self._starting

    async def start_kernel(self, **kwargs) -> str:
        """Give a reader a kernel; Voila calls this when a page is asked for.

        Raises:
          tornado.web.HTTPError: 503, where all places are taken.
        """
        if self.free <= 0:
            raise web.HTTPError(503, "all places are taken")
        self._starting += 1
        try:
            if not self._waiting and self._heating:  # soon ready, so sooner than a new one
                await asyncio.wait(self._heating, return_when=asyncio.FIRST_COMPLETED)
            kernel = self._waiting.pop(0) if self._waiting else await self._new()
            self.given.add(kernel)
            self.touch(kernel)
        finally:
            self._starting -= 1
        return kernel

    def touch(self, kernel: str) -> None:
        """Begin to count the minutes without a move."""
        manager = self.get_kernel(kernel)
        manager.last_activity = manager.last_activity.now(manager.last_activity.tzinfo)

    async def shutdown_kernel(self, kernel_id: str, *args, **kwargs):
        """End a kernel, and free its place."""
        self.given.discard(kernel_id)
        with contextlib.suppress(ValueError):
            self._waiting.remove(kernel_id)
        return await super()._async_shutdown_kernel(kernel_id, *args, **kwargs)

    # --- kernels that are ready --------------------------------------------------------------

    async def _new(self) -> str:
        return await super()._async_start_kernel(
            kernel_name="python3",
            path="",
            env=self.environment(),
            extra_arguments=[
                "--HistoryManager.enabled=False",
                "--IPKernelApp.log_level=ERROR",
                # before it answers, so that its reader waits for no import and no compiler
                f"--IPKernelApp.exec_lines={QUIET}{self.explorer}.warm_up()",
            ],
        )

    def environment(self) -> dict[str, str]:
        """What kernels find in their environment."""
        return os.environ | {
            **programs.kept_in(Path(self.folder) / "programs"),
            # Many kernels share the cores: one with many threads only takes them from others.
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
            "MALLOC_ARENA_MAX": "2",
            # No start-up files of the teacher's own.
            "IPYTHONDIR": str(Path(self.folder) / "ipython"),
        }

    async def _heat(self) -> None:
        kernel = await self._new()
        client = self.get_kernel(kernel).client()
        client.start_channels()
        try:
            await client.wait_for_ready(timeout=READY_SECONDS)
        except RuntimeError as error:
            self.log.error("A kernel did not start: %s", error)
            await self.shutdown_kernel(kernel, now=True)
            return
        finally:
            client.stop_channels()
        self._waiting.append(kernel)
        if len(self._waiting) == self.warm and not self._announced:
            self._announced = True
            print(f"Kernels that are ready: {self.warm}.", flush=True)

    def _heat_more(self) -> None:
        cores = os.cpu_count() or 1
        at_once = max(1, cores // 2) if self.given else cores  # readers need some, too
        wanted = min(self.warm, self.free) - len(self._waiting) - len(self._heating)
        for _ in range(min(wanted, at_once - len(self._heating))):
            task = asyncio.ensure_future(self._heat())
            self._heating.add(task)
            task.add_done_callback(self._heating.discard)

    # --- limits ------------------------------------------------------------------------------

    async def tend(self) -> None:
        """End the kernels that broke a limit, and make new ones ready."""
        if self._tending:  # the last time takes long
            return
        self._tending = True
        try:
            for kernel in [*self.given, *self._waiting]:
                why = await self._why_end(kernel)
                if why:
                    self.ended[kernel] = ENDED[why].format(idle=self.idle, memory=self.memory)
                    print(self.ended[kernel], f"{len(self.given) - 1} readers.", flush=True)
                    with contextlib.suppress(web.HTTPError, KeyError):  # its reader left just now
                        await self.shutdown_kernel(kernel, now=True)
            self._heat_more()
        finally:
            self._tending = False

    async def _why_end(self, kernel: str) -> str | None:
        if kernel not in self:
            self.given.discard(kernel)
            return None
        manager = self.get_kernel(kernel)
        if not await manager.is_alive():
            return "died"
        if resident(manager.provisioner.pid) > self.memory * GIGABYTE:
            return "memory"
        since = manager.last_activity
        still = (since.now(since.tzinfo) - since).total_seconds()
        if kernel in self.given and still > 60 * self.idle:
            return "idle"
        return None


def resident(process: int) -> int:
    """Bytes of memory that a process keeps; 0 if it has gone.

    The system's own limits do not serve: Linux limits addresses, of which XLA reserves a multiple
    of what it uses, and no longer what is resident; macOS and Windows limit neither.
    """
    try:
        return psutil.Process(process).memory_info().rss
    except psutil.NoSuchProcess:
        return 0

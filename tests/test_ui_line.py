"""The place in the queue, as the real queue of a served page has it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import gradio as gr
from gradio_client import Client
from served_blocks import serve_blocks

from lipsync.ui.line import DEVICE, sessions_before


def test_place_is_told_in_the_order_of_the_queue() -> None:
    may_end = threading.Event()

    def work() -> Iterator[str]:
        yield "at work"
        may_end.wait(30)

    with gr.Blocks() as screen:
        gr.api(work, api_name="work", concurrency_limit=1, concurrency_id=DEVICE)
    with serve_blocks(screen) as url:
        clients = [Client(url, verbose=False) for _ in range(3)]
        jobs = []
        try:
            for place, client in enumerate(clients):
                jobs.append(client.submit(api_name="/work"))
                _await(lambda place=place: _num_known(screen) == place + 1)
            first, second, third = (client.session_hash for client in clients)
            assert sessions_before(screen, first) is None
            assert sessions_before(screen, second) == [first]
            assert sessions_before(screen, third) == [first, second]
            assert sessions_before(screen, "nobody") is None
        finally:
            may_end.set()
        for job in jobs:
            job.result(timeout=30)
        assert sessions_before(screen, third) is None


def _num_known(screen: gr.Blocks) -> int:
    line = screen._queue.event_queue_per_concurrency_id.get(DEVICE)
    return 0 if line is None else len(line.queue) + line.current_concurrency


def _await(condition: object) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)

"""Steps as CUDA graphs: on a GPU a small model is bound by launches, and a graph is launched at once."""

from collections.abc import Callable

import torch

WARM = 3  # runs of a step before it is captured
Step = Callable[[], None]


def captured(step: Step, device: torch.device) -> Step:
    """What does the same as `step`: on a GPU one CUDA graph of it, and elsewhere the step itself.

    The step reads and writes tensors that stay where they are, of shapes that stay the same. It is run a few times
    first, so what it changes must be put back afterwards.
    """
    if device.type != "cuda":
        return step
    with torch.cuda.device(device):
        other, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
        other.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(other):
            for _ in range(WARM):
                step()
        torch.cuda.current_stream().wait_stream(other)
        with torch.cuda.graph(graph):
            step()
    return graph.replay

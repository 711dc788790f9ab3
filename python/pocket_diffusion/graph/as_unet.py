"""Any network in the place of the reference's Unet, so that the reference's own guidance and samplers can run it."""

import functools
from collections.abc import Callable
from typing import Any

import torch

from pocket_diffusion import reference
from pocket_diffusion.graph.exporting import Network, predict
from pocket_diffusion.graph.interpreter import Interpreter
from pocket_diffusion.graph.read import GraphFile

Tensor = torch.Tensor


@functools.cache
def _network_class() -> type:
    class Stranger(reference.load_reference().Unet):  # for its guidance; of its layers there are none
        random_or_learned_sinusoidal_cond = False

        def __init__(self, predict: Callable[[Tensor, int, int], Tensor], channels: int, null: int) -> None:
            torch.nn.Module.__init__(self)
            self.predict, self.null = predict, null
            self.channels = self.out_dim = channels
            self.cond_drop_prob = 0.5
            self.register_parameter("nothing", torch.nn.Parameter(torch.empty(0)))  # its device is asked for

        def __deepcopy__(self, _memo: dict[int, Any]) -> torch.nn.Module:
            return type(self)(self.predict, self.channels, self.null)

        def forward(self, x: Tensor, time: Tensor, classes: Tensor, cond_drop_prob: float = 0.0) -> Tensor:
            rows = [self.null] * len(x) if cond_drop_prob == 1 else classes.tolist()
            return torch.stack([self.predict(each, int(t), row)[: self.channels] for each, t, row in zip(x, time.tolist(), rows)])

    return Stranger


def of_file(file: GraphFile) -> torch.nn.Module:
    """The list of operations of a file, run by PyTorch; in float64 where x is."""
    single, times = Interpreter(file.output), file.times
    double = functools.cache(lambda: Interpreter(file.output, double=True))

    def predicted(x: Tensor, t: int, row: int) -> Tensor:
        return (double() if x.dtype == torch.float64 else single)(x, t, float(times[t]), row)

    return _network_class()(predicted, file.network_shape[0], len(file.class_names))


def of_network(network: Network) -> torch.nn.Module:
    """The module itself."""
    return _network_class()(lambda x, t, row: predict(network, x, t, row), network.shape[0], len(network.class_names))

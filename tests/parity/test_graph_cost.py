"""What an evaluation is expected to take: on lists of operations whose sizes are known."""

import pytest
import torch
from pocket_diffusion.graph import cost
from pocket_diffusion.graph.cost import milliseconds
from pocket_diffusion.graph.exporting import Report, import_network
from pocket_diffusion.graph.ir import Value, Weight
from pocket_diffusion.graph.process import Process
from torch import nn


def x_of(*shape: int) -> Value:
    return Value("x", shape=shape)


def weight(name: str, *shape: int) -> Weight:
    return Weight(name, torch.zeros(shape))


def linear(a: Value, out: int, name: str = "w") -> Value:
    return Value("linear", (a,), (weight(name, out, a.channels), None), (out, 0))


def test_a_linear_layer_by_its_multiplications():
    x = x_of(8, 8, 32)
    of_layer = milliseconds(linear(x, 48))["linear"]
    assert of_layer == pytest.approx(8 * 8 * 32 * 48 / cost._PRODUCTS / 1000)
    assert milliseconds(linear(x, 96))["linear"] == pytest.approx(2 * of_layer)
    assert milliseconds(linear(linear(x, 32, "a"), 48, "b"))["linear"] == pytest.approx(of_layer * (1 + 32 / 48))


def test_what_does_not_depend_on_x_costs_nothing():
    x = x_of(8, 8, 32)
    beside = linear(Value("class", (), (weight("rows", 3, 64),), shape=(64,)), 32, "of_class")
    with_class = milliseconds(Value("add", (linear(x, 32), beside)))
    alone = milliseconds(linear(x, 32))
    assert with_class["linear"] == alone["linear"]
    assert "class" not in with_class


@pytest.mark.parametrize("softmax", [0, 1])
def test_linear_attention_by_its_exponentials(softmax: int):
    """A layer of 1,024 positions with 4 heads of 32 has 262,144 of them, which take 0.43 ms (docs/speed.md), products or not."""
    x = x_of(1024, 128)
    q, k, v = (linear(x, 128, name) for name in "qkv")
    layer = Value("linear_attention", (q, k, v), (), (4, softmax), (1.0,))
    products = 2 * 1024 * 128 * 32 / cost._PRODUCTS / 1000
    assert milliseconds(layer)["linear_attention"] == pytest.approx(products + (0.43 if softmax else 0), rel=0.01)


def test_shares_of_the_report():
    """Of the work and of the time, 100 % each but for rounding to the last digit shown."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.norm, self.out = nn.Conv2d(4, 16, 3, padding=1), nn.GroupNorm(4, 16), nn.Conv2d(16, 4, 1)

        def forward(self, x, t):
            return self.out(torch.sin(self.norm(self.stem(x))) * t.reshape(1, 1, 1, 1) / 50)

    network = import_network(Net(), (4, 8, 8), [], None, Process.table("cosine", timesteps=50))
    lines = str(Report(network, [], 0.0, 0.0, "")).splitlines()
    rows = [line.split() for line in lines[2 : next(i for i, line in enumerate(lines) if line.startswith("expected"))]]
    assert {row[0] for row in rows} >= {"conv", "group_norm"}
    work, time = (sum(float(row[column].rstrip("%")) for row in rows) for column in (2, 3))
    assert work == pytest.approx(100, abs=0.005 * len(rows)) and time == pytest.approx(100, abs=0.5 * len(rows))
    total = sum(milliseconds(network.output).values())
    assert any(line.startswith(f"expected   about {float(f'{total:.2g}'):g} ms") for line in lines)

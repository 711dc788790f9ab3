"""The training loop that the article prints runs as it stands, and trains."""

import ast
import html
import re
from pathlib import Path

import torch

LEARN = Path(__file__).parents[2] / "web" / "learn" / "article"


def training_loop(language: str) -> str:
    text = (LEARN / f"{language}.html").read_text(encoding="utf-8")
    found = re.search(r'<pre id="training"[^>]*><code>(.*?)</code>', text, re.DOTALL)
    assert found
    return html.unescape(found[1])


class Network(torch.nn.Module):
    """Knows the mean of each of two classes, and of none (class 2), and what it takes to find the noise from it."""

    def __init__(self, abar: torch.Tensor) -> None:
        super().__init__()
        self.abar = abar
        self.means = torch.nn.Parameter(torch.zeros(3))

    def forward(self, x: torch.Tensor, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        a = self.abar[t].view(-1, 1, 1, 1)
        return (x - a.sqrt() * self.means[y].view(-1, 1, 1, 1)) / (1 - a).sqrt()


def test_the_training_loop_of_the_article_trains() -> None:
    torch.manual_seed(0)
    abar = torch.linspace(0.8, 0.2, 10)
    network = Network(abar)
    classes = torch.tensor([-0.5, 0.5])
    labels = [torch.randint(0, 2, (32,)) for _ in range(300)]
    batches = [(classes[y].view(-1, 1, 1, 1) + 0.1 * torch.randn(32, 1, 4, 4), y) for y in labels]
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    loop = training_loop("en")
    assert ast.dump(ast.parse(training_loop("zh"))) == ast.dump(ast.parse(loop)), "the two languages differ in more than comments"
    exec(loop, {"torch": torch, "abar": abar, "network": network, "optimizer": optimizer, "batches": batches, "p": 0.2, "null_class": 2})  # noqa: S102 -- the program that is tested
    # What makes the mean square error least is the mean of the class; that of the null class is the mean of all.
    assert torch.allclose(network.means.detach(), torch.tensor([-0.5, 0.5, 0.0]), atol=0.06)

"""Small networks in the ways in which people write them, for the tests of what turns any network into a model file.

Each is built by a function that returns it with the arguments of `pocket_diffusion.export`; weights are random in every layer.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

STYLES: dict[str, Callable[[], tuple[nn.Module, dict[str, Any]]]] = {}


def style(build):
    STYLES[build.__name__] = build
    return build


def scattered(network: nn.Module, seed: int = 0) -> nn.Module:
    """With random numbers where an initialisation puts zeros and ones, so that whatever is forgotten is noticed."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in (*network.named_parameters(), *network.named_buffers()):
            if not tensor.is_floating_point():
                continue
            if "running_var" in name:
                tensor.uniform_(0.5, 1.5, generator=generator)
            elif tensor.ndim < 2:
                tensor.add_(0.2 * torch.randn(tensor.shape, generator=generator))
            elif tensor.std() == 0:
                tensor.normal_(0, tensor[0].numel() ** -0.5, generator=generator)
    return network


def sines(t: torch.Tensor, dim: int, cosines_first: bool = False) -> torch.Tensor:
    frequencies = torch.exp(-math.log(10000) * torch.arange(dim // 2) / (dim // 2))
    angles = t[:, None].float() * frequencies[None]
    return torch.cat((angles.cos(), angles.sin()) if cosines_first else (angles.sin(), angles.cos()), dim=-1)


# ---- class by one-hot and mask, transposed convolutions, batch norm ----------------------


class _Double(nn.Module):
    def __init__(self, channels_in: int, channels: int, residual: bool = False) -> None:
        super().__init__()
        self.residual = residual
        self.first = nn.Sequential(nn.Conv2d(channels_in, channels, 3, 1, 1), nn.BatchNorm2d(channels), nn.GELU())
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1), nn.BatchNorm2d(channels), nn.GELU())

    def forward(self, x):
        first = self.first(x)
        second = self.second(first)
        return (first + second) / 1.414 if self.residual else second


class OneHotAndMask(nn.Module):
    """Class as a one-hot vector that a mask sets to zero; features are multiplied by the class and added to the time."""

    def __init__(self, channels: int = 1, features: int = 16, classes: int = 10) -> None:
        super().__init__()
        self.classes = classes
        self.start = _Double(channels, features, residual=True)
        self.down = nn.ModuleList(
            [nn.Sequential(_Double(features, features), nn.MaxPool2d(2)), nn.Sequential(_Double(features, 2 * features), nn.MaxPool2d(2))]
        )
        self.to_vector = nn.Sequential(nn.AvgPool2d(7), nn.GELU())
        mlp = lambda inputs, outputs: nn.Sequential(nn.Linear(inputs, outputs), nn.GELU(), nn.Linear(outputs, outputs))  # noqa: E731
        self.time = nn.ModuleList([mlp(1, 2 * features), mlp(1, features)])
        self.context = nn.ModuleList([mlp(classes, 2 * features), mlp(classes, features)])
        self.up = nn.ModuleList(
            [
                nn.Sequential(nn.ConvTranspose2d(2 * features, 2 * features, 7, 7), nn.GroupNorm(8, 2 * features), nn.ReLU()),
                nn.Sequential(nn.ConvTranspose2d(4 * features, features, 2, 2), _Double(features, features), _Double(features, features)),
                nn.Sequential(nn.ConvTranspose2d(2 * features, features, 2, 2), _Double(features, features), _Double(features, features)),
            ]
        )
        self.out = nn.Sequential(nn.Conv2d(2 * features, features, 3, 1, 1), nn.GroupNorm(8, features), nn.ReLU(), nn.Conv2d(features, channels, 3, 1, 1))

    def forward(self, x, t, c, mask):
        x = self.start(x)
        down = [self.down[0](x)]
        down.append(self.down[1](down[0]))
        hidden = self.to_vector(down[1])
        c = F.one_hot(c, num_classes=self.classes).type(torch.float)
        mask = mask[:, None].repeat(1, self.classes)
        c = c * (-1 * (1 - mask))
        up = self.up[0](hidden)
        for i in range(2):
            context, time = (each[i](value).view(-1, up.shape[1], 1, 1) for each, value in ((self.context, c), (self.time, t[:, None])))
            up = self.up[i + 1](torch.cat((context * up + time, down[1 - i]), 1))
        return self.out(torch.cat((up, x), 1))


class _MaskedCall(nn.Module):
    """Label `classes` stands for none: the class 0, masked."""

    def __init__(self, network: OneHotAndMask) -> None:
        super().__init__()
        self.network = network

    def forward(self, x, t, y):
        no_class = (y == self.network.classes).float()
        return self.network(x, t, torch.where(y == self.network.classes, 0, y), no_class)


@style
def one_hot_and_mask():
    times = (np.arange(400) + 1) / 400
    return _MaskedCall(OneHotAndMask()), {"shape": (1, 28, 28), "classes": 10, "null": 10, "schedule": "linear", "timesteps": 400, "times": times}


# ---- attention over all positions, label added to the time, None for no class --------------


class _SelfAttention(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(channels, 4, batch_first=True)
        self.norm = nn.LayerNorm([channels])
        self.feed = nn.Sequential(nn.LayerNorm([channels]), nn.Linear(channels, channels), nn.GELU(), nn.Linear(channels, channels))

    def forward(self, x):
        size = x.shape[-2:]
        x = x.flatten(2).swapaxes(1, 2)
        normed = self.norm(x)
        attended, _ = self.attention(normed, normed, normed)
        attended = attended + x
        return (self.feed(attended) + attended).swapaxes(2, 1).unflatten(2, size)


class _NormedDouble(nn.Module):
    def __init__(self, inputs: int, outputs: int, middle: int | None = None, residual: bool = False) -> None:
        super().__init__()
        self.residual = residual
        middle = middle or outputs
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, middle, 3, padding=1, bias=False),
            nn.GroupNorm(1, middle),
            nn.GELU(),
            nn.Conv2d(middle, outputs, 3, padding=1, bias=False),
            nn.GroupNorm(1, outputs),
        )

    def forward(self, x):
        return F.gelu(x + self.layers(x)) if self.residual else self.layers(x)


class AttentionEverywhere(nn.Module):
    """Attention at full size, bilinear doubling, the class added to the time or left out."""

    def __init__(self, features: int = 16, classes: int = 5, time_dim: int = 32) -> None:
        super().__init__()
        self.time_dim = time_dim
        self.inc = _NormedDouble(3, features)
        self.first = _SelfAttention(features)
        self.down = nn.Sequential(nn.MaxPool2d(2), _NormedDouble(features, features, residual=True), _NormedDouble(features, 2 * features))
        self.down_time = nn.Sequential(nn.SiLU(), nn.Linear(time_dim, 2 * features))
        self.second = _SelfAttention(2 * features)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.after = nn.Sequential(_NormedDouble(3 * features, 3 * features, residual=True), _NormedDouble(3 * features, features, 3 * features // 2))
        self.up_time = nn.Sequential(nn.SiLU(), nn.Linear(time_dim, features))
        self.last = _SelfAttention(features)
        self.out = nn.Conv2d(features, 3, 1)
        self.label = nn.Embedding(classes, time_dim)

    def forward(self, x, t, y):
        t = sines(t, self.time_dim)
        if y is not None:
            t = t + self.label(y)
        first = self.first(self.inc(x))
        x = self.down(first)
        x = self.second(x + self.down_time(t)[:, :, None, None].repeat(1, 1, *x.shape[-2:]))
        x = self.after(torch.cat([first, self.up(x)], dim=1))
        x = self.last(x + self.up_time(t)[:, :, None, None].repeat(1, 1, *x.shape[-2:]))
        return self.out(x)


@style
def attention_everywhere():
    return AttentionEverywhere(), {"shape": (3, 16, 16), "classes": 5, "null": "none", "schedule": "linear", "timesteps": 1000}


# ---- trained table of times, attention with manual heads ---------------------------------------


class TimeTable(nn.Module):
    """Times and labels are rows of trained tables; row 0 of the labels stands for none. Attention by bmm."""

    def __init__(self, classes: int = 4, features: int = 24, timesteps: int = 200) -> None:
        super().__init__()
        self.times = nn.Embedding(timesteps, 2 * features)
        self.labels = nn.Embedding(classes + 1, 2 * features)
        self.stem = nn.Conv2d(3, features, 5, padding=2, padding_mode="reflect")
        self.norm = nn.GroupNorm(4, features)
        self.shift = nn.Linear(2 * features, features)
        self.q, self.k, self.v = (nn.Conv2d(features, features, 1) for _ in range(3))
        self.project = nn.Conv2d(features, features, 1)
        self.down = nn.Conv2d(features, 2 * features, 3, stride=2)
        self.activation = nn.LeakyReLU(0.2)
        self.up = nn.ConvTranspose2d(2 * features, features, 4, 2, 1)
        self.head = nn.Conv2d(2 * features, 6, 3, padding=1)

    def forward(self, x, t, y):
        embedding = F.mish(self.times(t.long()) + self.labels(y))
        stem = self.stem(x)
        h = F.silu(self.norm(stem)) + self.shift(embedding)[..., None, None]
        b, c, height, width = h.shape
        q = self.q(h).reshape(b, c, height * width).permute(0, 2, 1)
        k = self.k(h).reshape(b, c, height * width)
        v = self.v(h).reshape(b, c, height * width)
        weights = F.softmax(torch.bmm(q, k) * int(c) ** -0.5, dim=2).permute(0, 2, 1)
        h = h + self.project(torch.bmm(v, weights).reshape(b, c, height, width))
        low = self.activation(self.down(F.pad(h, (0, 1, 0, 1))))
        return self.head(torch.cat((self.up(low), stem), dim=1))


@style
def time_table():
    """Six channels, of which the first three are the prediction."""
    return TimeTable(), {"shape": (3, 8, 8), "classes": 4, "null": 0, "schedule": "cosine", "timesteps": 200, "objective": "v"}


# ---- transformers -----------------------------------------------------------------------------


class _AdaptiveBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList([nn.LayerNorm(width, elementwise_affine=False, eps=1e-6) for _ in range(2)])
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width))
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x, c):
        shift, scale, gate, shift_feed, scale_feed, gate_feed = self.modulation(c).chunk(6, dim=1)
        h = self.norms[0](x) * (1 + scale.unsqueeze(1)) + shift.unsqueeze(1)
        b, n, width = h.shape
        q, k, v = self.qkv(h).reshape(b, n, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        h = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, width)
        x = x + gate.unsqueeze(1) * self.project(h)
        h = self.norms[1](x) * (1 + scale_feed.unsqueeze(1)) + shift_feed.unsqueeze(1)
        return x + gate_feed.unsqueeze(1) * self.feed(h)


class AdaptiveTransformer(nn.Module):
    """Patches, positions by sines, blocks whose norms are scaled, shifted and gated by time and class."""

    def __init__(self, size: int = 16, patch: int = 2, width: int = 32, depth: int = 2, classes: int = 10, channels: int = 4) -> None:
        super().__init__()
        self.patch, self.channels, self.side = patch, channels, size // patch
        self.embed = nn.Conv2d(channels, width, patch, patch)
        self.register_buffer("positions", sines(torch.arange(self.side**2), width)[None])
        self.time = nn.Sequential(nn.Linear(64, width), nn.SiLU(), nn.Linear(width, width))
        self.label = nn.Embedding(classes + 1, width)
        self.blocks = nn.ModuleList([_AdaptiveBlock(width, 4) for _ in range(depth)])
        self.norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))
        self.out = nn.Linear(width, patch * patch * 2 * channels)

    def forward(self, x, t, y):
        x = self.embed(x).flatten(2).transpose(1, 2) + self.positions
        c = self.time(sines(t, 64, cosines_first=True)) + self.label(y)
        for block in self.blocks:
            x = block(x, c)
        shift, scale = self.modulation(c).chunk(2, dim=1)
        x = self.out(self.norm(x) * (1 + scale.unsqueeze(1)) + shift.unsqueeze(1))
        x = x.reshape(x.shape[0], self.side, self.side, self.patch, self.patch, 2 * self.channels)
        return torch.einsum("nhwpqc->nchpwq", x).reshape(x.shape[0], 2 * self.channels, self.side * self.patch, -1)


@style
def adaptive_transformer():
    return AdaptiveTransformer(), {"shape": (4, 16, 16), "classes": 10, "null": 10, "schedule": "linear", "timesteps": 1000}


class _PlainBlock(nn.Module):
    def __init__(self, width: int, skip: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.project = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.skip = nn.Linear(2 * width, width) if skip else None

    def forward(self, x, skip=None):
        if self.skip is not None:
            x = self.skip(torch.cat([x, skip], dim=-1))
        b, n, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(b, n, 3, 4, width // 4).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1)) * (width // 4) ** -0.5
        x = x + self.project((weights.softmax(dim=-1) @ v).transpose(1, 2).reshape(b, n, width))
        return x + self.feed(self.norm2(x))


class TokenTransformer(nn.Module):
    """Time and class are tokens before those of the picture; long skip connections; a convolution at the end."""

    def __init__(self, size: int = 16, patch: int = 4, width: int = 32, classes: int = 6) -> None:
        super().__init__()
        self.patch, self.side = patch, size // patch
        self.embed = nn.Conv2d(3, width, patch, patch)
        self.time = nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))
        self.label = nn.Embedding(classes + 1, width)
        self.positions = nn.Parameter(torch.zeros(1, 2 + self.side**2, width))
        self.blocks_in, self.middle, self.blocks_out = _PlainBlock(width, False), _PlainBlock(width, False), _PlainBlock(width, True)
        self.norm, self.out = nn.LayerNorm(width), nn.Linear(width, patch**2 * 3)
        self.final = nn.Conv2d(3, 3, 3, padding=1)
        self.width = width

    def forward(self, x, t, y):
        x = self.embed(x).flatten(2).transpose(1, 2)
        time = self.time(sines(t, self.width)).unsqueeze(dim=1)
        x = torch.cat((self.label(y).unsqueeze(dim=1), time, x), dim=1) + self.positions
        skip = self.blocks_in(x)
        x = self.blocks_out(self.middle(skip), skip)
        x = self.out(self.norm(x))[:, 2:]
        b = x.shape[0]
        x = x.reshape(b, self.side, self.side, self.patch, self.patch, 3).permute(0, 5, 1, 3, 2, 4).reshape(b, 3, self.side * self.patch, -1)
        return self.final(x)


@style
def token_transformer():
    return TokenTransformer(), {"shape": (3, 16, 16), "classes": 6, "null": 6, "schedule": "linear", "timesteps": 1000}


# ---- preconditioning inside, resampling filters -------------------------------------------------


class _Filtered(nn.Module):
    """Half or double the size, by the filter 1 3 3 1."""

    def __init__(self, up: bool) -> None:
        super().__init__()
        self.up = up
        f = torch.tensor([1.0, 3.0, 3.0, 1.0])
        self.register_buffer("filter", (f[:, None] * f[None] / f.sum() ** 2)[None, None])

    def forward(self, x):
        channels = x.shape[1]
        if self.up:
            return F.conv_transpose2d(x, (4 * self.filter).tile([channels, 1, 1, 1]), groups=channels, stride=2, padding=1)
        return F.conv2d(x, self.filter.tile([channels, 1, 1, 1]), groups=channels, stride=2, padding=1)


class Preconditioned(nn.Module):
    """D = c_skip x + c_out F(c_in x, ln(sigma) / 4), with everything inside; magnitudes kept; class as one-hot times a matrix."""

    def __init__(self, features: int = 16, classes: int = 7) -> None:
        super().__init__()
        self.classes = classes
        self.register_buffer("frequencies", torch.randn(features // 2))
        self.time, self.label = nn.Linear(features, 2 * features), nn.Linear(classes, 2 * features, bias=False)
        self.stem, self.down, self.up = nn.Conv2d(4, features, 3, padding=1), _Filtered(False), _Filtered(True)
        self.middle = nn.Parameter(torch.randn(features, features, 3, 3))
        self.gain = nn.Linear(2 * features, features)
        self.out = nn.Conv2d(2 * features, 3, 3, padding=1)

    def forward(self, x, sigma, y):
        sigma = sigma.reshape(-1, 1, 1, 1)
        data = 0.5
        c_skip = data**2 / (sigma**2 + data**2)
        c_out = sigma * data / (sigma**2 + data**2).sqrt()
        c_in = 1 / (data**2 + sigma**2).sqrt()
        noise = sigma.flatten().log() / 4
        angles = noise.ger(self.frequencies * 2 * np.pi)
        one_hot = F.one_hot(y, self.classes + 1).float()[:, : self.classes]
        emb = self.time(torch.cat([angles.cos(), angles.sin()], 1) * np.sqrt(2)) + self.label(one_hot * np.sqrt(self.classes))
        emb = F.silu(emb) / 0.596
        h = c_in * x
        h = self.stem(torch.cat([h, torch.ones_like(h[:, :1])], dim=1))
        low = self.down(h)
        norm = torch.linalg.vector_norm(low, dim=1, keepdim=True, dtype=torch.float32)
        norm = torch.add(1e-4, norm, alpha=np.sqrt(norm.numel() / low.numel()))
        low = low / norm.to(low.dtype)
        w = self.middle
        length = torch.linalg.vector_norm(w, dim=[1, 2, 3], keepdim=True)
        w = w / torch.add(1e-4, length, alpha=np.sqrt(length.numel() / w.numel())) / np.sqrt(w[0].numel())
        y_ = F.conv2d(F.silu(low * (self.gain(emb)[:, :, None, None] + 1)) / 0.596, w, padding=1)
        low = low.lerp(y_, 0.3) / np.sqrt((1 - 0.3) ** 2 + 0.3**2)
        return c_skip * x + c_out * self.out(torch.cat([h, self.up(low)], dim=1))


@style
def preconditioned():
    sigmas = np.geomspace(0.02, 20, 60)
    return Preconditioned(), {"shape": (3, 16, 16), "classes": 7, "null": 7, "alphas_cumprod": 1 / (1 + sigmas**2), "times": sigmas, "objective": "x0"}


# ---- others ----------------------------------------------------------------------------------------


class LinearAttention(nn.Module):
    """Weight standardisation, RMS norms, linear attention by einops-like einsum, pixel unshuffle down; no classes."""

    def __init__(self, features: int = 32) -> None:
        super().__init__()
        self.features = features
        self.stem = nn.Conv2d(3, features, 7, padding=3)
        self.time = nn.Sequential(nn.Linear(features, 4 * features), nn.GELU(), nn.Linear(4 * features, 2 * features))
        self.standard = nn.Conv2d(features, features, 3, padding=1)
        self.norm = nn.GroupNorm(8, features)
        self.g = nn.Parameter(torch.ones(1, features, 1, 1))
        self.to_qkv = nn.Conv2d(features, 3 * 64, 1, bias=False)
        self.to_out = nn.Conv2d(64, features, 1)
        self.down = nn.Conv2d(4 * features, features, 1)
        self.memory = nn.Parameter(torch.randn(2, 4, 3, 16))
        self.mid_qkv, self.mid_out = nn.Conv2d(features, 3 * 64, 1, bias=False), nn.Conv2d(64, features, 1)
        self.up = nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(features, features, 3, padding=1))
        self.out = nn.Conv2d(2 * features, 3, 1)

    def heads(self, x):
        return (each.reshape(each.shape[0], 4, 16, -1) for each in x.chunk(3, dim=1))

    def forward(self, x, t):
        x = self.stem(x)
        scale, shift = self.time(sines(t, self.features))[:, :, None, None].chunk(2, dim=1)
        weight = self.standard.weight
        mean, var = weight.mean(dim=(1, 2, 3), keepdim=True), weight.var(dim=(1, 2, 3), keepdim=True, unbiased=False)
        h = F.conv2d(x, (weight - mean) * (var + 1e-5).rsqrt(), self.standard.bias, padding=1)
        h = F.silu(self.norm(h) * (scale + 1) + shift) + x
        b, c, height, width = h.shape
        q, k, v = self.heads(self.to_qkv(F.normalize(h, dim=1) * self.g * c**0.5))
        q, k = q.softmax(dim=-2) * 16**-0.5, k.softmax(dim=-1)
        context = torch.einsum("bhdn,bhen->bhde", k, v / (height * width))
        out = torch.einsum("bhde,bhdn->bhen", context, q)
        h = skip = self.to_out(out.reshape(b, 64, height, width)) + h
        h = self.down(F.pixel_unshuffle(h, 2))
        q, k, v = (each.transpose(-1, -2) for each in self.heads(self.mid_qkv(h)))
        k, v = (torch.cat((m[None].expand(b, -1, -1, -1), each), dim=-2) for m, each in zip(self.memory, (k, v)))
        similarity = torch.einsum("bhid,bhjd->bhij", q * 16**-0.5, k)
        similarity = similarity - similarity.amax(dim=-1, keepdim=True).detach()
        out = torch.einsum("bhij,bhjd->bhid", similarity.softmax(dim=-1), v)
        h = self.mid_out(out.permute(0, 1, 3, 2).reshape(b, 64, height // 2, width // 2)) + h
        return self.out(torch.cat((self.up(h), skip), dim=1))


@style
def linear_attention():
    return LinearAttention(), {"shape": (3, 16, 16), "classes": 0, "null": None, "schedule": "sigmoid", "timesteps": 100, "objective": "x0"}


class ClassAsChannels(nn.Module):
    """The class as further channels of the picture, without anything for no class; depthwise convolutions, batch norm ahead of padding."""

    def __init__(self, classes: int = 3, features: int = 16) -> None:
        super().__init__()
        self.label = nn.Embedding(classes, 4)
        self.time = nn.Sequential(nn.Linear(1, 16), nn.SiLU(), nn.Linear(16, features))
        self.stem = nn.Conv2d(1 + 4 + 1, features, 3, padding=1)
        self.depthwise = nn.Conv2d(features, features, 7, padding=3, groups=features)
        self.norm = nn.LayerNorm(features, eps=1e-6)
        self.widen, self.narrow = nn.Linear(features, 4 * features), nn.Linear(4 * features, features)
        self.gamma = nn.Parameter(torch.full((features,), 0.1))
        self.batch = nn.BatchNorm2d(features)
        self.last = nn.Conv2d(features, 4, 3, padding=1)
        self.prelu = nn.PReLU(features)

    def forward(self, x, t, y):
        height, width = x.shape[-2:]
        label = self.label(y)[:, :, None, None].expand(-1, -1, height, width)
        h = self.stem(torch.cat((x, label, torch.ones_like(x) * t.reshape(-1, 1, 1, 1)), dim=1))
        h = self.prelu(h) + self.time(t[:, None])[..., None, None]
        block = self.depthwise(h).permute(0, 2, 3, 1)
        block = self.gamma * self.narrow(F.gelu(self.widen(self.norm(block))))
        h = self.batch(F.elu(h + block.permute(0, 3, 1, 2)))
        low = F.avg_pool2d(h, 2)
        attention = torch.sigmoid(low.mean(dim=(2, 3), keepdim=True) + low.amax(dim=(2, 3), keepdim=True))
        return F.pixel_shuffle(self.last(low * attention), 2)


@style
def class_as_channels():
    return ClassAsChannels(), {"shape": (1, 12, 8), "classes": 3, "null": None, "schedule": "cosine", "timesteps": 50, "times": np.arange(50) / 50}


class Windows(nn.Module):
    """Attention in windows that are shifted, with a mask and a bias for each distance; rotated halves; normalised q and k."""

    def __init__(self, width: int = 32, window: int = 4, size: int = 8, classes: int = 2) -> None:
        super().__init__()
        self.window, self.size = window, size
        self.embed = nn.Conv2d(3, width, 1)
        self.label = nn.Embedding(classes + 1, width)
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.bias = nn.Parameter(torch.randn(4, window**2, window**2))
        self.gate = nn.Linear(width, 4 * width)
        self.feed = nn.Linear(2 * width, width)
        self.out = nn.Conv2d(width, 3, 1)
        region = torch.zeros(size, size)
        region[-window // 2 :] += 1
        region[:, -window // 2 :] += 2
        parts = self.windows(region[None, :, :, None]).squeeze(-1)
        self.register_buffer("mask", torch.zeros(parts.shape[0], window**2, window**2).masked_fill(parts[:, None] != parts[:, :, None], -100.0))
        angles = torch.arange(window**2)[:, None] * torch.tensor([1.0, 0.3, 0.1, 0.03])[None]
        self.register_buffer("cos", torch.cat((angles, angles), -1).cos())
        self.register_buffer("sin", torch.cat((angles, angles), -1).sin())

    def windows(self, x):
        b, height, width, c = x.shape
        n = self.window
        return x.view(b, height // n, n, width // n, n, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, n * n, c)

    def rotate(self, x):
        first, second = x.chunk(2, dim=-1)
        return x * self.cos + torch.cat((-second, first), dim=-1) * self.sin

    def forward(self, x, t, y):
        x = self.embed(x).permute(0, 2, 3, 1)
        condition = sines(t, x.shape[-1]) + self.label(y)
        h = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * condition[:, None, None, :]
        n, half = self.window, self.window // 2
        h = self.windows(torch.roll(h, (-half, -half), (1, 2)))
        q, k, v = (each.reshape(*each.shape[:2], 4, -1).transpose(1, 2) for each in self.qkv(h).chunk(3, dim=-1))
        q, k = (self.rotate(F.normalize(each, dim=-1)) for each in (q, k))
        mask = self.mask[:, None] + self.bias[None]
        h = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=8.0).transpose(1, 2).flatten(2)
        h = self.project(h).view(-1, self.size // n, self.size // n, n, n, x.shape[-1]).permute(0, 1, 3, 2, 4, 5).reshape(1, self.size, self.size, -1)
        x = x + torch.roll(h, (half, half), (1, 2))
        value, gate = self.gate(F.layer_norm(x, x.shape[-1:])).chunk(2, dim=-1)
        x = x + self.feed(value * F.gelu(gate))
        return self.out(x.permute(0, 3, 1, 2))


@style
def windows():
    return Windows(), {"shape": (3, 8, 8), "classes": 2, "null": 2, "schedule": "scaled_linear", "timesteps": 1000}


class ScoreStyle(nn.Module):
    """Random Fourier features, progressive input with a filter by reshaping, sums divided by the square root of 2, 1-d attention."""

    def __init__(self, features: int = 16) -> None:
        super().__init__()
        self.register_buffer("w", torch.randn(8) * 4)
        self.dense = nn.Linear(16, features)
        self.register_buffer("kernel", torch.tensor([[1.0, 3.0], [3.0, 9.0]]) / 16)
        self.stem, self.pyramid = nn.Conv2d(1, features, 3, padding=1), nn.Conv2d(1, features, 1)
        self.down = nn.Conv2d(features, features, 3, stride=2, padding=1, padding_mode="circular")
        self.norm = nn.InstanceNorm2d(features, affine=True)
        self.qkv = nn.Conv1d(features, 3 * features, 1)
        self.up = nn.Conv2d(features, features, 3, padding=1)
        self.out = nn.Conv2d(features, 1, 3, padding=1)

    def forward(self, x, t):
        angles = t[:, None] * self.w[None] * 2 * np.pi
        emb = F.hardswish(self.dense(torch.cat([torch.sin(angles), torch.cos(angles)], dim=-1)))
        b, c, height, width = x.shape
        small = F.conv2d(x.reshape(b * c, 1, height, width), self.kernel[None, None], stride=2).view(b, c, height // 2, width // 2)
        h = self.stem(x)
        low = (self.down(F.softplus(h)) + self.pyramid(small)) / np.sqrt(2.0) + emb[:, :, None, None]
        low = self.norm(low)
        q, k, v = self.qkv(low.flatten(2)).reshape(2, 24, -1).split(8, dim=1)
        scale = 1 / math.sqrt(math.sqrt(8))
        weights = torch.softmax(torch.einsum("bct,bcs->bts", q * scale, k * scale).float(), dim=-1)
        low = low + torch.einsum("bts,bcs->bct", weights, v).reshape(low.shape)
        h = h + self.up(F.interpolate(low, size=(height, width), mode="bilinear", align_corners=False))
        std = torch.sqrt((25.0 ** (2 * t) - 1.0) / 2 / np.log(25.0))
        return self.out(torch.tanh(h)) / std[:, None, None, None]


@style
def score_style():
    return ScoreStyle(), {"shape": (1, 16, 16), "classes": 0, "null": None, "schedule": "linear", "timesteps": 40, "times": np.linspace(0.01, 1, 40)}

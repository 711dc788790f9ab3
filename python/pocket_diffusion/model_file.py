"""The model file (docs/format.md): layout of tensors, quantisation, metadata; writing and reading back."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFValueType

from pocket_diffusion import reference
from pocket_diffusion.checkpoint import CheckpointError, Description, Options
from pocket_diffusion.guidance_input import table_arguments
from pocket_diffusion.quantisation import BLOCK, TYPES, InputProducts, is_blocks, quantize

ARCHITECTURE = "pocket-diffusion"
SAMPLING_PREFIX = f"{ARCHITECTURE}.sampling."
RENDERING_KEY = f"{ARCHITECTURE}.image.rendering"
FORMAT_VERSION = 1
MAX_NAME_BYTES = 63
MAX_FILE_BYTES = 256 << 20  # PD_MAX_FILE_BYTES
FILE_TYPES = {  # general.file_type: what most of the weights are
    GGMLQuantizationType.F32: gguf.LlamaFileType.ALL_F32,
    GGMLQuantizationType.F16: gguf.LlamaFileType.MOSTLY_F16,
    GGMLQuantizationType.Q8_0: gguf.LlamaFileType.MOSTLY_Q8_0,
    GGMLQuantizationType.Q5_1: gguf.LlamaFileType.MOSTLY_Q5_1,
    GGMLQuantizationType.Q5_0: gguf.LlamaFileType.MOSTLY_Q5_0,
    GGMLQuantizationType.Q4_1: gguf.LlamaFileType.MOSTLY_Q4_1,
    GGMLQuantizationType.Q4_0: gguf.LlamaFileType.MOSTLY_Q4_0,
}


# ---- layout -----------------------------------------------------------------


STEM = "init_conv.weight"
TABLE = "classes_emb.weight"


def to_rows(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Rows [out, kh * kw * in] with `in` varying fastest, rows [out, in], or a vector."""
    if name.endswith(".g"):  # RMSNorm gain [1, C, 1, 1]
        return tensor.reshape(-1)
    if tensor.ndim == 4:
        return tensor.permute(0, 2, 3, 1).reshape(tensor.shape[0], -1)
    return tensor


def from_rows(name: str, rows: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """The inverse of `to_rows`; `shape` is PyTorch's."""
    if len(shape) == 4 and not name.endswith(".g"):
        out, channels, height, width = shape
        return rows.reshape(out, height, width, channels).permute(0, 3, 1, 2).contiguous()
    return rows.reshape(shape)


def possible_type(name: str, rows: torch.Tensor, wanted: str) -> str:
    """The type that a tensor gets where `wanted` is asked for all. Vectors stay F32. A matrix that has no whole blocks
    becomes F16 instead, and so does a stem or an embedding table whose rows have none: a stem is small, and all else builds
    on it; rows of a table that are alike must stay so.
    """
    if rows.ndim == 1:
        return "f32"
    ragged = rows.shape[-1] % BLOCK != 0 if name in (STEM, TABLE) else rows.numel() % BLOCK != 0
    return "f16" if is_blocks(TYPES[wanted]) and ragged else wanted


def layer_kind(name: str, shape: tuple[int, ...]) -> str:
    """What a tensor does, for the table of quantisation errors."""
    if name.endswith(".g"):
        return "norm gain"
    if name.endswith(".bias"):
        return "bias"
    if "classes_emb" in name:
        return "class embedding"
    if name == "time_mlp.0.weights":
        return "Fourier frequencies"
    if len(shape) == 4:
        side = f"{shape[2]}x{shape[3]}"
        return f"attention {side}" if ".to_" in name else f"convolution {side}"
    return "linear"


# ---- writing ----------------------------------------------------------------


@dataclass(frozen=True)
class General:
    """What people are shown about a model."""

    name: str
    description: str = ""
    license: str = ""
    author: str = ""
    source_url: str = ""


@dataclass(frozen=True)
class Recommendation:
    """How a model is best sampled, and its pictures are best enlarged."""

    sampler: str = "ddim"
    steps: int = 20
    guidance_scale: float = 3.0
    eta: float = 0.0
    time_grid: str = "linear"
    guidance_interval: tuple[int, int] | None = None  # guided timesteps, both included; None: all
    rescale: float = 0.0  # of the guided prediction's standard deviation
    projection: bool = False  # without what is parallel to the class's prediction
    rendering: str = "smooth"


@dataclass(frozen=True)
class StoredTensor:
    """One tensor as it was written, and what rounding did to it."""

    name: str
    kind: str
    type: str
    values: int
    bytes: int
    squares: float  # sum of squares of the values
    squared_error: float  # sum of squares of the rounding errors
    largest_error: float


@dataclass(frozen=True)
class Encoded:
    """A tensor as it lies in the file."""

    kind: GGMLQuantizationType
    data: np.ndarray  # bytes of blocks, or numbers, in rows or as one row

    def values(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        """As readers see them, in PyTorch's shape."""
        decoded = gguf.quants.dequantize(self.data, self.kind).astype(np.float32)
        return from_rows(name, torch.from_numpy(decoded), shape)


def encode(name: str, tensor: torch.Tensor, wanted: str, products: InputProducts | None = None) -> Encoded:
    """`products`: see `quantize`. A matrix whose rows are not of whole blocks becomes one row of all its values."""
    return encode_rows(name, to_rows(name, tensor), wanted, products)


def encode_rows(name: str, rows: torch.Tensor, wanted: str, products: InputProducts | None = None) -> Encoded:
    """The same of a tensor that lies in rows already."""
    kind = TYPES[wanted]
    values = rows.contiguous().numpy()
    with np.errstate(over="ignore"):
        data = quantize(values, kind, products)
    if not np.isfinite(gguf.quants.dequantize(data, kind)).all():
        raise CheckpointError(f"{name!r} does not fit into {kind.name}: values up to {np.abs(values).max():g}; use --type f32")
    whole = not is_blocks(kind) or values.shape[-1] % BLOCK == 0
    return Encoded(kind, data.reshape(*values.shape[:-1], -1) if whole else data)


def encode_all(weights: Mapping[str, torch.Tensor], wanted: str) -> dict[str, Encoded]:
    """Every matrix as the same type, where that is possible."""
    return {name: encode(name, tensor, possible_type(name, to_rows(name, tensor), wanted)) for name, tensor in weights.items()}


def file_type_of(encoded: Mapping[str, Encoded], weights: Mapping[str, torch.Tensor]) -> int:
    values: dict[GGMLQuantizationType, int] = {}
    for name, each in encoded.items():
        values[each.kind] = values.get(each.kind, 0) + weights[name].numel()
    return FILE_TYPES[max(values, key=values.__getitem__)]


def add(writer: gguf.GGUFWriter, key: str, value: Any, kind: GGUFValueType, element: GGUFValueType | None = None) -> None:
    """One of the project's own keys."""
    writer.add_key_value(f"{ARCHITECTURE}.{key}", value, kind, element)


def new_writer(general: General, file_type: int, format_version: int) -> gguf.GGUFWriter:
    """With the keys that all GGUF tools know."""
    writer = gguf.GGUFWriter(None, ARCHITECTURE)
    for key, text in (
        ("name", general.name),
        ("description", general.description),
        ("license", general.license),
        ("author", general.author),
        ("source.url", general.source_url),
    ):
        if text:
            writer.add_string(f"general.{key}", text)
    writer.add_file_type(file_type)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    add(writer, "format_version", format_version, GGUFValueType.UINT32)
    return writer


def _add_unet(writer: gguf.GGUFWriter, unet: Mapping[str, Any]) -> None:
    kinds = GGUFValueType
    for key in ("dim", "init_dim", "out_dim", "channels", "num_classes", "learned_sinusoidal_dim", "attn_dim_head", "attn_heads"):
        add(writer, f"unet.{key}", unet[key], kinds.UINT32)
    add(writer, "unet.dim_mults", list(unet["dim_mults"]), kinds.ARRAY, kinds.UINT32)
    add(writer, "unet.cond_drop_prob", unet["cond_drop_prob"], kinds.FLOAT32)
    for key in ("learned_sinusoidal_cond", "random_fourier_features"):
        add(writer, f"unet.{key}", unet[key], kinds.BOOL)


def add_picture(writer: gguf.GGUFWriter, size: tuple[int, int, int], pixel_unshuffle: int, class_names: Sequence[str]) -> None:
    """`size`: width, height, channels of the finished picture."""
    kinds = GGUFValueType
    for key, value in zip(("width", "height", "channels"), size):
        add(writer, f"image.{key}", value, kinds.UINT32)
    add(writer, "image.pixel_unshuffle", pixel_unshuffle, kinds.UINT32)
    add(writer, "image.value_range", [-1.0, 1.0], kinds.ARRAY, kinds.FLOAT32)
    if class_names:
        add(writer, "class_names", list(class_names), kinds.ARRAY, kinds.STRING)


def add_diffusion(writer: gguf.GGUFWriter, alphas_cumprod: np.ndarray, schedule: str, objective: str) -> None:
    kinds = GGUFValueType
    add(writer, "diffusion.timesteps", len(alphas_cumprod), kinds.UINT32)
    add(writer, "diffusion.beta_schedule", schedule, kinds.STRING)
    add(writer, "diffusion.alphas_cumprod", alphas_cumprod.tolist(), kinds.ARRAY, kinds.FLOAT64)
    add(writer, "diffusion.objective", objective, kinds.STRING)


def add_recommendation(writer: gguf.GGUFWriter, recommended: Recommendation) -> None:
    kinds = GGUFValueType
    add(writer, "sampling.sampler", recommended.sampler, kinds.STRING)
    add(writer, "sampling.steps", recommended.steps, kinds.UINT32)
    add(writer, "sampling.guidance_scale", recommended.guidance_scale, kinds.FLOAT32)
    add(writer, "sampling.eta", recommended.eta, kinds.FLOAT32)
    # Left out where they say nothing, so that readers from before there were these keys take the file.
    if recommended.rendering != "smooth":
        writer.add_string(RENDERING_KEY, recommended.rendering)
    if recommended.time_grid != "linear":
        add(writer, "sampling.time_grid", recommended.time_grid, kinds.STRING)
    if recommended.guidance_interval is not None:
        add(writer, "sampling.guidance_interval", list(recommended.guidance_interval), kinds.ARRAY, kinds.UINT32)
    if recommended.rescale:
        add(writer, "sampling.rescale", recommended.rescale, kinds.FLOAT32)
    if recommended.projection:
        add(writer, "sampling.projection", True, kinds.BOOL)


def add_tensor(writer: gguf.GGUFWriter, name: str, encoded: Encoded) -> None:
    if len(name.encode()) > MAX_NAME_BYTES:
        raise CheckpointError(f"tensor name {name!r} is longer than {MAX_NAME_BYTES} bytes")
    writer.add_tensor(name, encoded.data, raw_dtype=encoded.kind)


def stored_tensor(name: str, kind: str, tensor: torch.Tensor, encoded: Encoded) -> StoredTensor:
    """What became of a tensor. `tensor`: as it was, in rows or in PyTorch's shape."""
    error = (encoded.values(name, tuple(tensor.shape)) - tensor).double()
    return StoredTensor(
        name=name,
        kind=kind,
        type=encoded.kind.name,
        values=tensor.numel(),
        bytes=encoded.data.nbytes,
        squares=float(tensor.double().square().sum()),
        squared_error=float(error.square().sum()),
        largest_error=float(error.abs().max()),
    )


def check_size(stored: Sequence[StoredTensor]) -> None:
    if sum(tensor.bytes for tensor in stored) > MAX_FILE_BYTES:
        raise CheckpointError(f"the file would be larger than the engine accepts ({MAX_FILE_BYTES >> 20} MiB)")


def write_model(
    path: Path,
    description: Description,
    weights: Mapping[str, torch.Tensor],
    encoded: Mapping[str, Encoded],
    general: General,
    recommended: Recommendation,
) -> list[StoredTensor]:
    """Writes the file and says what became of each tensor. `path` is replaced as a whole or left as it was."""
    writer = new_writer(general, file_type_of(encoded, weights), FORMAT_VERSION)
    _add_unet(writer, description.unet)
    if description.guidance_scales:
        add(writer, "guidance.scales", list(description.guidance_scales), GGUFValueType.ARRAY, GGUFValueType.FLOAT32)
    size = description.image_width, description.image_height, description.image_channels
    add_picture(writer, size, description.pixel_unshuffle, description.class_names)
    add_diffusion(writer, description.alphas_cumprod, description.beta_schedule, description.objective)
    add_recommendation(writer, recommended)
    stored = []
    for name, tensor in weights.items():
        add_tensor(writer, name, encoded[name])
        stored.append(stored_tensor(name, layer_kind(name, tuple(tensor.shape)), tensor, encoded[name]))
    check_size(stored)
    write_atomically(writer, path)
    return stored


def write_recommendation(path: Path, output: Path, recommended: Recommendation) -> None:
    """Writes a model file anew with other recommended settings: all else, the tensors too, stays byte for byte.
    `output`, which may be `path`, is replaced as a whole or left as it was.
    """
    reader = open_model(path)
    writer = gguf.GGUFWriter(None, ARCHITECTURE)
    for key, field in reader.fields.items():
        if key.startswith(("GGUF.", SAMPLING_PREFIX)) or key in ("general.architecture", RENDERING_KEY):
            continue
        kind, *items = field.types
        writer.add_key_value(key, field.contents(), kind, items[-1] if items else None)
    add_recommendation(writer, recommended)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, np.array(tensor.data), raw_dtype=tensor.tensor_type)
    write_atomically(writer, output)


def write_atomically(writer: gguf.GGUFWriter, path: Path) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        writer.write_header_to_file(partial)
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        os.replace(partial, path)
    finally:
        writer.close()
        partial.unlink(missing_ok=True)


# ---- reading ----------------------------------------------------------------


@dataclass(frozen=True)
class FileMetadata:
    """What every model file says, of either format: metadata without the `pocket-diffusion.` prefix."""

    metadata: dict[str, Any]
    types: dict[str, str]  # of its tensors, as stored
    general: General

    @property
    def recommended(self) -> Recommendation:
        said = {key.removeprefix("sampling."): value for key, value in self.metadata.items() if key.startswith("sampling.")}
        if "guidance_interval" in said:
            said["guidance_interval"] = tuple(map(int, said["guidance_interval"]))
        return Recommendation(**said, rendering=self.metadata.get("image.rendering", "smooth"))

    @property
    def alphas_cumprod(self) -> np.ndarray:
        return np.array(self.metadata["diffusion.alphas_cumprod"], dtype=np.float64)

    @property
    def class_names(self) -> tuple[str, ...]:
        """None where a network has no classes."""
        return tuple(self.metadata.get("class_names", ()))

    @property
    def guidance_scales(self) -> tuple[float, ...]:
        """That each class has a row of the embedding table for, where the scale is an input of the network; else none."""
        return tuple(self.metadata.get("guidance.scales", ()))

    @property
    def network_shape(self) -> tuple[int, int, int]:
        """[C, H, W] of x_t."""
        r = self.metadata["image.pixel_unshuffle"]
        return self.metadata["image.channels"] * r * r, self.metadata["image.height"] // r, self.metadata["image.width"] // r


@dataclass(frozen=True)
class ModelFile(FileMetadata):
    """A model file of format 1 as read back, weights dequantised."""

    unet: dict[str, Any]  # arguments of the reference's Unet; num_classes without scales
    weights: dict[str, torch.Tensor]  # float32, in the shapes of PyTorch

    @property
    def has_null(self) -> bool:
        """Is there a prediction without a class?"""
        return not self.guidance_scales

    @property
    def options(self) -> Options:
        """What the file says of its checkpoint, in the words of `checkpoint.describe`."""
        data = self.metadata
        fourier = None
        if self.unet["random_fourier_features"]:
            fourier = "random"
        elif self.unet["learned_sinusoidal_cond"]:
            fourier = "learned"
        return Options(
            image_size=(data["image.width"], data["image.height"]),
            pixel_unshuffle=data["image.pixel_unshuffle"],
            class_names=tuple(data["class_names"]),
            objective=data["diffusion.objective"],
            beta_schedule=data["diffusion.beta_schedule"],
            timesteps=data["diffusion.timesteps"],
            attn_heads=self.unet["attn_heads"],
            attn_dim_head=self.unet["attn_dim_head"],
            fourier=fourier,
        )


def open_model(path: Path) -> gguf.GGUFReader:
    """A reader of any GGUF file that says it is a model; CheckpointError for others."""
    try:
        reader = gguf.GGUFReader(path)
    except (ValueError, IndexError, OSError) as error:
        raise CheckpointError(f"{path}: no readable GGUF file: {error}") from error
    architecture = reader.fields.get("general.architecture")
    if architecture is None or architecture.contents() != ARCHITECTURE:
        raise CheckpointError(f"{path}: general.architecture is {architecture and architecture.contents()!r}, expected {ARCHITECTURE!r}")
    return reader


def said_by(reader: gguf.GGUFReader) -> tuple[dict[str, Any], dict[str, str], General]:
    """The fields of `FileMetadata`."""
    prefix = f"{ARCHITECTURE}."
    fields = {key: value.contents() for key, value in reader.fields.items()}
    metadata = {key.removeprefix(prefix): value for key, value in fields.items() if key.startswith(prefix)}
    general = General(**{name: fields.get(f"general.{name.replace('_', '.')}", "") for name in General.__dataclass_fields__})
    return metadata, {tensor.name: tensor.tensor_type.name for tensor in reader.tensors}, general


def format_version(path: Path) -> int:
    """1: of the reference's network; 2: with a list of operations. 0: not said."""
    field = open_model(path).fields.get(f"{ARCHITECTURE}.format_version")
    return int(field.contents()) if field is not None else 0


def read_model(path: Path) -> ModelFile:
    """Reads a model file of format 1 with the `gguf` package's reader, independently of the engine."""
    reader = open_model(path)
    metadata, types, general = said_by(reader)
    if metadata.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(f"{path}: format {metadata.get('format_version')}, where a network of the reference (format {FORMAT_VERSION}) is expected")
    unet = {key[len("unet.") :]: value for key, value in metadata.items() if key.startswith("unet.")}
    unet["dim_mults"] = tuple(unet["dim_mults"])
    scales = metadata.get("guidance.scales", ())
    shapes = reference.unet_shapes(table_arguments(unet, scales))
    if {tensor.name for tensor in reader.tensors} != set(shapes):
        raise CheckpointError(f"{path}: its tensors are not those of the network it describes")
    weights = {}
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        if values.size != math.prod(shapes[tensor.name]):
            raise CheckpointError(f"{path}: {tensor.name!r} has another size than in the network it describes")
        weights[tensor.name] = from_rows(tensor.name, torch.from_numpy(values), shapes[tensor.name])
    return ModelFile(metadata, types, general, unet, weights)

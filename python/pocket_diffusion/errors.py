"""What the core refuses, as an exception."""


class PocketDiffusionError(Exception):
    """A refusal. `code` is stable ("MAGIC", "LABEL", ...: the list is in src/pocket_diffusion.h; beside it "WASM", no usable
    module, "TRAP", the module failed, and "CLOSED"), `offset` the byte of the file that it is about, or None.
    """

    def __init__(self, code: str, message: str, offset: int | None = None) -> None:
        where = "" if offset is None else f" (byte {offset})"
        super().__init__(f"{code}: {message}{where}")
        self.code = code
        self.message = message
        self.offset = offset

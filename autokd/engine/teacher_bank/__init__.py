"""The teacher bank: teacher outputs, computed once for each view of the training set and shared by all trials.

Training always consumes the stored value: a block is computed over the whole set in canonical chunks, rounded to half
precision, and read back from that. So runs are bit-identical on CPU whether they found a block, computed it, or could
not keep it.

On disk a block is one safetensors file in the folder of its group (teacher, data, policy, view seed), written whole by
an atomic rename and checked by a checksum: a damaged one is computed again. When the bank is full, groups that no
running process uses go first, oldest first; after that new blocks are used and not kept (epochs come in cycles, and
throwing out the oldest block under a cyclic scan would never hit).
"""

from autokd.engine.teacher_bank.bank import DEFAULT_BYTES, Counts, Group, TeacherBank
from autokd.engine.teacher_bank.block import CHUNK, MANY_CLASSES, TOP, Block, block_bytes, load_block
from autokd.engine.teacher_bank.folder import clear, folder_bytes, group_folders, groups_in_use

__all__ = [
    "CHUNK",
    "DEFAULT_BYTES",
    "MANY_CLASSES",
    "TOP",
    "Block",
    "Counts",
    "Group",
    "TeacherBank",
    "block_bytes",
    "clear",
    "folder_bytes",
    "group_folders",
    "groups_in_use",
    "load_block",
]

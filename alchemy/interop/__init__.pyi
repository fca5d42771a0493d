from .from_transformers import Checkpoint as Checkpoint
from .published import complete_file as complete_file
from .released import canonical_pair as canonical_pair
from .released import score_parts as score_parts

"""The worlds of the published cases."""

from tasks.cipher import Cipher


def make(rotation=13, roll=1, cot=True, training=("F1F2",)):
    return Cipher((f"rotate {rotation}", f"roll {roll}", "reverse"), training, 4, "", 0, 0, (), cot)


REPLAYED = {  # what the recorded cases train and test on, where their names do not say
    "CMP_f1f1": "F2F2 F1F2 F2F1 -> F1F1",
    "CMP_f2f2": "F1F1 F1F2 F2F1 -> F2F2",
    "cmp f3f3": "F2F3 F3F2 F2F2 -> F3F3",
    "cmp f2f2 by f3": "F2F3 F3F2 F3F3 -> F2F2",
}

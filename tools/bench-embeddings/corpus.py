"""The texts that are measured with: three mixes of lengths, with their token ids.

Texts come from a folder of the user's (--corpus: *.txt, a text a line; *.jsonl and
*.jsonl.gz, the field `text` or `prompt`), or else from this project's own prose: its
documents and the comments of its source. Same commit or folder, same texts.

- short: queries of 5 to 16 tokens;
- mixed: 5 to 256 tokens, most of them short (5 + 251 u^2.2 for u evenly in 0..1: mean 83);
- long:  passages of 128 to 256 tokens.

Tokens include the two special ones. Ids are made here, once, by the model's tokenizer;
every engine is fed the same.
"""

import bisect
import gzip
import json
import pathlib
import random
import re
import subprocess

from tokenizers import Tokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMIT = 256
# Enough for as many tokens, of English.
MOST_CHARACTERS = 1500
COUNT = 3200


def _mixed(u):
    return round(5 + 251 * u**2.2)


MIXES = {"short": lambda u: round(5 + 11 * u), "mixed": _mixed, "long": lambda u: round(128 + 128 * u)}


def _folder_texts(folder):
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if path.name.endswith((".jsonl", ".jsonl.gz")):
            with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as lines:
                for line in lines:
                    row = json.loads(line)
                    yield row.get("text") or row.get("prompt") or ""
        elif path.suffix == ".txt":
            yield from path.read_text("utf-8").splitlines()


def _project_paragraphs():
    files = subprocess.run(
        ["git", "ls-files", "*.md", "*.rs", "*.proto", "*.py", "tools/fixtures/embeddings_sentences.txt"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    for name in files:
        text = (ROOT / name).read_text("utf-8")
        if name.endswith(".md"):
            yield from re.sub(r"```.*?```", "\n", text, flags=re.S).split("\n\n")
        elif name.endswith(".py"):
            yield from (part for doc in re.findall(r'"""(.*?)"""', text, flags=re.S) for part in doc.split("\n\n"))
        elif name.endswith(".txt"):
            yield from text.splitlines()
        else:
            for block in re.findall(r"(?:^[ \t]*//[/!]? ?.*\n)+", text, flags=re.M):
                yield from re.sub(r"^[ \t]*//[/!]? ?", "", block, flags=re.M).split("\n\n")


def _project_texts():
    """Each paragraph, with what follows it, so that there are long texts too."""
    kept = (" ".join(paragraph.split()) for paragraph in _project_paragraphs())
    kept = [text for text in dict.fromkeys(kept) if sum(c.isalpha() or c == " " for c in text) > 0.8 * len(text) > 16]
    for at, text in enumerate(kept):
        yield text
        yield " ".join(kept[at : at + 12])


class Corpus:
    """Makes the mixes; `source` says where the texts came from."""

    def __init__(self, model, folder=None, most=25_000):
        self.source = "the folder given by --corpus" if folder else "this project's documents and comments"
        self.tokenizer = Tokenizer.from_file(str(pathlib.Path(model) / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(LIMIT)
        texts = [t.strip() for t in dict.fromkeys(_folder_texts(folder) if folder else _project_texts())]
        random.Random(5).shuffle(texts)
        self.texts = [text[:MOST_CHARACTERS] for text in texts[:most] if text]
        self.found = self.tokenizer.encode_batch(self.texts)

    def ids(self, text):
        return self.tokenizer.encode(text).ids

    def mix(self, name, count=COUNT):
        """`count` texts whose lengths follow the mix, in an order that knows no length."""
        dice = random.Random(name)
        wanted = sorted(MIXES[name]((i + 0.5) / count) for i in range(count))
        texts, late = [], []
        # A text goes to a length just below its own, so that little is cut off.
        for text, found in zip(self.texts, self.found):
            at = bisect.bisect_right(wanted, len(found.ids)) - 1
            if at >= 0 and len(found.ids) - wanted[at] <= 2 + wanted[at] // 8:
                texts.append(self._cut(text, found, wanted.pop(at)))
            else:
                late.append((text, found))
            if not wanted:
                break
        late.sort(key=lambda pair: len(pair[1].ids))
        lengths = [len(found.ids) for _, found in late]
        for at, length in enumerate(wanted):
            first = bisect.bisect_left(lengths, length)
            if first == len(late):
                raise SystemExit(f"the corpus has too few texts of {length} tokens; give a larger one by --corpus")
            texts.append(self._cut(*late[first + at % min(len(late) - first, 200)], length))
        dice.shuffle(texts)
        ids = [found.ids for found in self.tokenizer.encode_batch(texts)]
        return {"texts": texts, "ids": ids}

    @staticmethod
    def _cut(text, found, length):
        """The text's first `length` tokens, special ones counted."""
        if len(found.ids) <= length:
            return text
        return text[: found.offsets[length - 2][1]]

"""Texts to measure on: made from a seed, so that everybody measures the same ones and no
person's data is in the repository."""

import random

FIRST = "Amara Bjorn Chidi Daria Emeka Fatou Goran Hana Ines Jonas Keiko Lars Mina Noor Olga Pavel".split()
LAST = "Abbas Brandt Costa Dubois Eriksen Fischer Garcia Haddad Ivanov Jensen Kowalski Lopez Moreau".split()
WORDS = (
    "the order was sent on time and the team agreed to review what had been said about delivery because nobody "
    "could find a better reason for waiting until the next quarter when prices usually fall and customers return "
    "with questions that only a few of us remember how to answer without looking into old notes"
).split()


def luhn(prefix, length, rng):
    digits = [int(c) for c in prefix] + [rng.randrange(10) for _ in range(length - len(prefix) - 1)]
    total = 0
    for place, digit in enumerate(reversed(digits)):
        if place % 2 == 0:
            digit = digit * 2 - 9 * (digit > 4)
        total += digit
    return "".join(map(str, digits)) + str(-total % 10)


def value(kind, rng):
    pick = rng.choice
    if kind == "email":
        return f"{pick(FIRST).lower()}.{pick(LAST).lower()}@example.{pick(['com', 'org', 'co.uk'])}"
    if kind == "phone":
        return pick(["({}) {}-{:04d}", "{}-{}-{:04d}", "+1 {} {} {:04d}"]).format(
            rng.randrange(201, 989), rng.randrange(220, 989), rng.randrange(10000)
        )
    if kind == "card":
        number = luhn("4", 16, rng)
        return pick([number, " ".join(number[at : at + 4] for at in range(0, 16, 4))])
    if kind == "ssn":
        return f"{rng.randrange(1, 600):03d}-{rng.randrange(1, 99):02d}-{rng.randrange(1, 9999):04d}"
    if kind == "ip":
        return ".".join(str(rng.randrange(1, 255)) for _ in range(4))
    if kind == "iban":
        return "DE89370400440532013000"
    if kind == "noise":
        return pick(
            [
                f"v{rng.randrange(9)}.{rng.randrange(30)}.{rng.randrange(9)}",
                f"PROJ-{rng.randrange(9999)}",
                f"{rng.randrange(100000)}",
                f"2026-0{rng.randrange(1, 9)}-1{rng.randrange(9)}T09:12:44Z",
                f"{rng.getrandbits(64):016x}",
                f"{rng.randrange(1, 900)},{rng.randrange(100, 999)}.{rng.randrange(10, 99)} EUR",
            ]
        )
    return f"{pick(FIRST)} {pick(LAST)}"


KINDS = ["email", "phone", "card", "ssn", "ip", "iban", "name", "name", "noise", "noise", "noise"]


def sentence(rng, rate):
    words = [rng.choice(WORDS) for _ in range(rng.randrange(8, 20))]
    if rng.random() < rate:
        words.insert(rng.randrange(1, len(words)), value(rng.choice(KINDS), rng))
    return " ".join(words).capitalize() + "."


def text(rng, size, rate):
    parts = []
    while sum(map(len, parts)) + len(parts) < size:
        parts.append(sentence(rng, rate))
    return " ".join(parts)


def corpus(seed=7):
    """By name: the texts of a mix. `short` is dense, a value in most sentences."""
    rng = random.Random(seed)
    return {
        "short messages, 100 B": [text(rng, 80, 0.9) for _ in range(2000)],
        "letters, 1 KB": [text(rng, 1000, 0.3) for _ in range(400)],
        "documents, 32 KB": [text(rng, 32000, 0.15) for _ in range(16)],
    }

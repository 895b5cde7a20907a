"""Tables, and the goals of docs/benchmarks/embeddings.md beside what was measured."""

import statistics

# all-MiniLM-L6-v2: 6 layers of 4 x 384^2 + 2 x 384 x 1536 products, and attention over
# every pair of tokens; two operations to a product (Vaswani et al., arXiv 1706.03762).
LINEAR = 2 * 6 * (4 * 384**2 + 2 * 384 * 1536)
ATTENTION = 2 * 6 * 2 * 384


def median_rate(turns, clock, **wanted):
    """Median over the rounds of tokens per second of this clock; none if not measured."""
    rates = [t["tokens"] / t[clock] for t in turns if all(t[key] == value for key, value in wanted.items())]
    return statistics.median(rates) if rates else None


def ratio(turns, ours, theirs, **wanted):
    """How many times the peer's tokens per CPU second: the median of the rounds' ratios,
    since what happens to the machine in a round happens to both."""
    rounds = [{}, {}]
    for turn in turns:
        if all(turn[key] == value for key, value in wanted.items()):
            for side, name in zip(rounds, (ours, theirs)):
                if turn["engine"] == name:
                    side[turn["round"]] = turn["tokens"] / turn["cpu_s"]
    both = [rounds[0][turn] / rounds[1][turn] for turn in rounds[0] if turn in rounds[1]]
    return statistics.median(both) if both else None


def ceiling(limits, kind, lengths):
    """Tokens per CPU second if the multipliers did nothing but this mix's linear layers in
    arithmetic of `kind`, and its attention in f32."""
    tokens = sum(lengths)
    pairs = sum(length * length for length in lengths)
    return tokens / (tokens * LINEAR / limits[kind] + pairs * ATTENTION / limits["f32"])


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def table(title, head, rows):
    """Prints a table whose first column is text."""
    rows = [[("-" if cell is None else cell if isinstance(cell, str) else f"{cell:,.0f}") for cell in row] for row in rows]
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    print(f"\n{title}")
    for row in [head, ["-" * width for width in widths], *rows]:
        first, *rest = (cell.ljust(width) if at == 0 else cell.rjust(width) for at, (cell, width) in enumerate(zip(row, widths)))
        print("  ".join([first, *rest]).rstrip())


class Goals:
    """Collects goals; each is met, missed, or was not measured."""

    def __init__(self):
        self.rows = []

    def add(self, name, value, goal, more=True, form="{:.2f}"):
        met = None if value is None else value >= goal if more else value <= goal
        self.rows.append({"goal": name, "wanted": goal, "measured": value, "met": met, "more": more, "form": form})

    def show(self, title="Goals"):
        def row(r):
            wanted = ("≥ " if r["more"] else "≤ ") + r["form"].format(r["wanted"])
            measured = "-" if r["measured"] is None else r["form"].format(r["measured"])
            return [r["goal"], measured, wanted, {True: "met", False: "MISSED", None: "not measured"}[r["met"]]]

        table(title, ["goal", "measured", "wanted", ""], [row(r) for r in self.rows])
        missed = sum(r["met"] is False for r in self.rows)
        print(f"{sum(r['met'] is True for r in self.rows)} met, {missed} missed, {sum(r['met'] is None for r in self.rows)} not measured")

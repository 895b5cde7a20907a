"""A row must be able to fail: what compares and counts rows finds what is wrong."""

import unittest
from pathlib import Path
from typing import Any

from cases.report import CaseFailed
from cases.rows import Row, check_table, generated_rpcs, missing

ROUTER = "signalbox.router.v1.RouterService"


def row(rpc: str, kind: str = "unary") -> Row:
    return Row(rpc=rpc, kind=kind, status="OK", requests=[{}], expect=None)


class Missing(unittest.TestCase):
    def test_a_part_is_found(self) -> None:
        found = {"a": 1, "list": [{"b": "x", "c": 0}, {"b": "y"}]}
        parts: list[Any] = [{}, {"a": 1}, {"list": []}, {"list": [{"b": "x"}]}]
        for part in parts:
            self.assertIsNone(missing(part, found, ""))

    def test_what_differs_is_named(self) -> None:
        found = {"a": 1, "list": [{"b": "x"}]}
        for expect, where in [
            ({"a": 2}, ".a is 1 instead of 2"),
            ({"a": "1"}, ".a is 1 instead of '1'"),
            ({"z": 1}, ".z is None instead of 1"),
            ({"list": [{"b": "y"}]}, ".list[0].b is 'x' instead of 'y'"),
            ({"list": [{}, {}]}, ".list has 1 elements, not 2"),
            ({"a": {}}, ".a is 1 instead of {}"),
        ]:
            self.assertEqual(missing(expect, found, ""), where)


class Table(unittest.TestCase):
    def setUp(self) -> None:
        rpcs = generated_rpcs(Path("generated"))
        self.rpcs = {name: rpc for name, rpc in rpcs.items() if ROUTER in name}
        self.rows = [row(name, rpc.kind) for name, rpc in self.rpcs.items()]

    def test_a_row_for_each_is_accepted(self) -> None:
        check_table(self.rows, self.rpcs, older=False)

    def test_an_rpc_without_a_row_is_refused_in_an_older_contract_too(self) -> None:
        for older in (False, True):
            with self.assertRaisesRegex(CaseFailed, "no row .*StreamChat"):
                kept = [each for each in self.rows if "Stream" not in each.rpc]
                check_table(kept, self.rpcs, older)

    def test_only_an_older_contract_may_lack_an_rpc(self) -> None:
        rows = [*self.rows, row(f"{ROUTER}/Newer")]
        check_table(rows, self.rpcs, older=True)
        with self.assertRaisesRegex(CaseFailed, "no RPC .*Newer"):
            check_table(rows, self.rpcs, older=False)

    def test_two_rows_and_a_wrong_kind_are_refused(self) -> None:
        with self.assertRaisesRegex(CaseFailed, "two rows"):
            check_table([*self.rows, self.rows[0]], self.rpcs, older=False)
        first = self.rows[0]
        with self.assertRaisesRegex(CaseFailed, "the row says client_stream"):
            rows = [row(first.rpc, "client_stream"), *self.rows[1:]]
            check_table(rows, self.rpcs, older=False)

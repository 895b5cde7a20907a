"""Checks bills of materials by the formats' own rules: CycloneDX 1.6 by its JSON schema,
SPDX 2.3 by the SPDX project's validator; and that both name the same components.

    sbom_check.py NAME.cdx.json NAME.spdx.json [...]
"""

import json
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document


def cyclonedx_purls(path: Path, complaints: list[str]) -> set[str]:
    text = path.read_text()
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if error is not None:
        complaints.append(f"{path}: {error}"[:2000])
    bom = json.loads(text)
    refs = {"image"} | {part["bom-ref"] for part in bom["components"]}
    for dependency in bom["dependencies"]:
        for ref in [dependency["ref"], *dependency["dependsOn"]]:
            if ref not in refs:
                complaints.append(f"{path}: a dependency names {ref}, which is no component")
    return {part["purl"] for part in bom["components"]}


def spdx_purls(path: Path, complaints: list[str]) -> set[str]:
    for message in validate_full_spdx_document(parse_file(str(path)), "SPDX-2.3"):
        complaints.append(f"{path}: {message.validation_message}")
    document = json.loads(path.read_text())
    return {
        reference["referenceLocator"]
        for package in document["packages"]
        for reference in package.get("externalRefs", [])
    }


def main(arguments: list[str]) -> int:
    if not arguments or len(arguments) % 2:
        print(__doc__, file=sys.stderr)
        return 2
    complaints: list[str] = []
    for cdx, spdx in zip(map(Path, arguments[::2]), map(Path, arguments[1::2])):
        in_cdx, in_spdx = cyclonedx_purls(cdx, complaints), spdx_purls(spdx, complaints)
        for purl in in_cdx ^ in_spdx:
            complaints.append(f"{purl} is in one of {cdx} and {spdx} only")
        for purl in in_cdx:
            if PackageURL.from_string(purl).to_string() != purl:
                complaints.append(f"{cdx}: {purl} is not in the one spelling of its package URL")
        print(f"{cdx} and {spdx}: {len(in_cdx)} components")
    for complaint in complaints:
        print(f"error: {complaint}")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Write the JSON Schema of KServe's InferenceService: python -m scripts.kserve_schema WHEEL FILE.

KServe publishes its schema as generated classes in its Python SDK, whose wheel is read here and not
installed (`pip download --no-deps kserve==0.21.0`): it holds other libraries at older versions.
What Kubernetes itself defines stands as a reference into the schemas of kubernetes-validate.
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

ROOT = "V1beta1InferenceService"
LEFT_OUT = {"status", "explainer", "transformer", "canary"}  # of the root: nothing of ours has them
KUBERNETES = "https://kubernetes.io/api/_definitions.json#/$defs/"
SIMPLE = {"str": "string", "int": "integer", "bool": "boolean", "float": "number"}
NAMED = {
    "ResourceQuantity": "io.k8s.apimachinery.pkg.api.resource.Quantity",
    "V1ObjectMeta": "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
    "V1LabelSelector": "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector",
    "K8sIoApiAppsV1DeploymentStrategy": "io.k8s.api.apps.v1.DeploymentStrategy",
}


def main() -> None:
    """Read the wheel, write the schema."""
    wheel, file = sys.argv[1:]
    with zipfile.ZipFile(wheel) as archive:
        classes = _classes(archive)
    wanted, found = [ROOT], dict[str, Any]()
    while wanted:
        name = wanted.pop()
        if name not in found:
            # Some, such as quantities, are written in a way that the SDK has no class for.
            found[name] = _schema(classes[name]) if name in classes else {}
            wanted += re.findall(r'"#/\$defs/(\w+)"', json.dumps(found[name]))
    schema = {
        "$comment": f"{Path(wheel).stem.partition('-py')[0]}, by scripts/kserve_schema.py",
        "$ref": f"#/$defs/{ROOT}",
        "$defs": {name: found[name] for name in sorted(found)},
    }
    Path(file).write_text(json.dumps(schema, indent=1) + "\n", encoding="utf-8")


def _classes(archive: zipfile.ZipFile) -> dict[str, str]:
    texts = (archive.read(each).decode() for each in archive.namelist() if "/models/" in each)
    return {
        name[1]: text
        for text in texts
        if (name := re.search(r"^class (\w+)\(object\)", text, re.M))
    }


def _schema(text: str) -> dict[str, Any]:
    types = dict(re.findall(r"'(\w+)': '([^']+)'", _block(text, "openapi_types")))
    names = dict(re.findall(r"'(\w+)': '([^']+)'", _block(text, "attribute_map")))
    required = set(re.findall(r"client_side_validation and (\w+) is None", text))
    return {
        "type": "object",
        "properties": {
            names[own]: _type(kind) for own, kind in types.items() if own not in LEFT_OUT
        },
        "required": sorted(names[own] for own in required & set(names)),
        "additionalProperties": False,
    }


def _block(text: str, name: str) -> str:
    found = re.search(name + r" = \{(.*?)\}", text, re.S)
    return found[1] if found else ""


def _type(kind: str) -> dict[str, Any]:
    if kind in SIMPLE:
        return {"type": SIMPLE[kind]}
    if inner := re.fullmatch(r"list\[(.+)\]", kind):
        return {"type": "array", "items": _type(inner[1])}
    if inner := re.fullmatch(r"dict\(str, (.+)\)", kind):
        return {"type": "object", "additionalProperties": _type(inner[1])}
    if kind == "object":
        return {}
    if kind in NAMED:
        return {"$ref": KUBERNETES + NAMED[kind]}
    if kind.startswith(("V1beta1", "V1alpha1", "Knative")):
        return {"$ref": f"#/$defs/{kind}"}
    return {"$ref": f"{KUBERNETES}io.k8s.api.core.v1.{kind.removeprefix('V1')}"}


if __name__ == "__main__":
    main()

"""Checks objects against the schemas of their kinds, as a strict API server does: unknown fields, wrong types and missing fields are problems.

Kubernetes' own kinds come from its OpenAPI document, those of the Prometheus operator from their CustomResourceDefinitions.
"""
import json
import re


class Schemas:
    def __init__(self, kubernetes_path, definition_paths):
        with open(kubernetes_path, encoding="utf-8") as file:
            self.definitions = json.load(file)["definitions"]
        self.kinds = {}
        for name, schema in self.definitions.items():
            for kind in schema.get("x-kubernetes-group-version-kind", []):
                version = f"{kind['group']}/{kind['version']}" if kind["group"] else kind["version"]
                self.kinds[version, kind["kind"]] = {"$ref": f"#/definitions/{name}"}
        for path in definition_paths:
            with open(path, encoding="utf-8") as file:
                spec = json.load(file)["spec"]
            for version in spec["versions"]:
                schema = dict(version["schema"]["openAPIV3Schema"])
                # Of metadata the definition says only that it is an object.
                meta = {"$ref": "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
                schema["properties"] = {**schema["properties"], "metadata": meta}
                self.kinds[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = schema

    def problems(self, thing):
        """All problems of an object, each with its path."""
        if not isinstance(thing, dict):
            return ["not an object"]
        schema = self.kinds.get((thing.get("apiVersion"), thing.get("kind")))
        if schema is None:
            return [f"unknown kind {thing.get('apiVersion')} {thing.get('kind')}"]
        found = []
        self._check(thing, schema, thing["kind"], found)
        return found

    def _check(self, value, schema, path, found):
        if "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[1]
            if name.endswith("Quantity"):
                if isinstance(value, bool) or not re.fullmatch(r"[0-9]+(\.[0-9]+)?(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?", str(value)):
                    found.append(f"{path}: {value!r} is not a quantity")
                return
            self._check(value, self.definitions[name], path, found)
            return
        if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
            if isinstance(value, bool) or not isinstance(value, (int, str)):
                found.append(f"{path}: {value!r} is neither a number nor a string")
            return
        kind = schema.get("type")
        types = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}
        if kind in types and (not isinstance(value, types[kind]) or (isinstance(value, bool) and kind != "boolean")):
            found.append(f"{path}: expected {kind}, not {value!r}")
            return
        if "enum" in schema and value not in schema["enum"]:
            found.append(f"{path}: {value!r} is none of {schema['enum']}")
        if "pattern" in schema and not re.search(schema["pattern"], value):
            found.append(f"{path}: {value!r} does not match {schema['pattern']}")
        if isinstance(value, list):
            for i, item in enumerate(value):
                self._check(item, schema.get("items", {}), f"{path}[{i}]", found)
        if isinstance(value, dict):
            known = schema.get("properties", {})
            other = schema.get("additionalProperties")
            free = other is True or schema.get("x-kubernetes-preserve-unknown-fields") or not (known or other)
            for name in schema.get("required", []):
                if name not in value:
                    found.append(f"{path}: '{name}' is missing")
            for name, item in value.items():
                if name in known:
                    self._check(item, known[name], f"{path}.{name}", found)
                elif isinstance(other, dict):
                    self._check(item, other, f"{path}.{name}", found)
                elif not free:
                    found.append(f"{path}: unknown field '{name}'")


def repeated_keys(text):
    """Keys that a block mapping of YAML text has twice: most parsers take the last one silently, the API server may refuse. Understands what the chart
    writes: block mappings and sequences, flow collections on one line, no block scalars."""
    found, open_maps = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line.startswith("---"):
            open_maps = []
            continue
        indent = len(line) - len(line.lstrip())
        rest = line.lstrip()
        while rest.startswith("- "):
            while open_maps and open_maps[-1][0] > indent:
                open_maps.pop()
            indent += 2
            rest = rest[2:]
            open_maps = [m for m in open_maps if m[0] < indent]
        while open_maps and open_maps[-1][0] > indent:
            open_maps.pop()
        match = re.match(r"""("[^"]+"|'[^']+'|[A-Za-z_][\w./-]*):( |$)""", rest)
        if not match:
            continue
        if not open_maps or open_maps[-1][0] < indent:
            open_maps.append((indent, set()))
        key = match.group(1).strip("\"'")
        if key in open_maps[-1][1]:
            found.append(f"line {number}: '{key}' stands there twice")
        open_maps[-1][1].add(key)
    return found

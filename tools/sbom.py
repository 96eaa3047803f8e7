#!/usr/bin/env python3
"""What the program is made of, as CycloneDX 1.5: every crate that is linked or that builds it, with its license, its
checksum in Cargo.lock, and what it depends on.

    tools/sbom.py > bellwether.cdx.json           with the features of a release; --features kafka for more

From `cargo metadata` and `cargo tree`, offline and from the lock file alone, so that equal sources give equal bytes. Crates of tests and benches
are left out, and so are those of other platforms.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = "bellwether"


def metadata(features, target):
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", target]
    if features:
        command += ["--features", features]
    return json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)


def built(features, target):
    """By name and version, what is really compiled: `cargo metadata` also has what only features of tests turn on."""
    command = ["cargo", "tree", "--locked", "--offline", "--edges", "normal,build", "--target", target, "--package", PROGRAM,
               "--prefix", "none", "--format", "{p}"]
    if features:
        command += ["--features", features]
    lines = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()
    return {(name, version.removeprefix("v")) for name, version, *_ in (line.split() for line in lines if line)}


def host():
    said = subprocess.run(["rustc", "-vV"], stdout=subprocess.PIPE, check=True, text=True).stdout
    return re.search(r"^host: (.*)$", said, re.M)[1]


def checksums():
    """By name and version, of what comes from a registry."""
    packages = (ROOT / "Cargo.lock").read_text().split("[[package]]")[1:]
    found = {}
    for package in packages:
        fields = dict(re.findall(r'^(name|version|checksum) = "(.*)"$', package, re.M))
        if "checksum" in fields:
            found[fields["name"], fields["version"]] = fields["checksum"]
    return found


def reached(nodes, root, is_built):
    """What `root` is made of: everything but what only tests need."""
    kept, left = {}, [root]
    while left:
        at = left.pop()
        if at in kept:
            continue
        wanted = [edge["pkg"] for edge in nodes[at]["deps"]
                  if is_built(edge["pkg"]) and any(kind["kind"] != "dev" for kind in edge["dep_kinds"])]
        kept[at] = sorted(wanted)
        left += wanted
    return kept


def component(package, sums):
    name, version = package["name"], package["version"]
    ours = package["source"] is None
    purl = f"pkg:cargo/{name}@{version}"
    described = {"type": "application" if name == PROGRAM else "library", "bom-ref": purl, "name": name,
                 "version": version, "purl": purl}
    if package["description"]:
        described["description"] = " ".join(package["description"].split())
    if package["license"]:
        # Some crates still write a slash for OR.
        described["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if not ours:
        described["hashes"] = [{"alg": "SHA-256", "content": sums[name, version]}]
    if package["repository"]:
        described["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return described


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--features", default="")
    arguments.add_argument("--target", default=None)
    given = arguments.parse_args()
    target = given.target or host()
    known, real = metadata(given.features, target), built(given.features, target)
    packages = {package["id"]: package for package in known["packages"]}
    nodes = {node["id"]: node for node in known["resolve"]["nodes"]}
    root = next(id for id in known["workspace_members"] if packages[id]["name"] == PROGRAM)
    made_of = reached(nodes, root, lambda id: (packages[id]["name"], packages[id]["version"]) in real)
    sums = checksums()
    parts = {id: component(packages[id], sums) for id in made_of}
    order = sorted(parts, key=lambda id: (parts[id]["name"], parts[id]["version"]))
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": parts[root]},
        "components": [parts[id] for id in order if id != root],
        "dependencies": [{"ref": parts[id]["bom-ref"], "dependsOn": sorted({parts[of]["bom-ref"] for of in made_of[id]})}
                         for id in order],
    }
    json.dump(document, sys.stdout, indent=1)
    sys.stdout.write("\n")
    print(f"{len(order) - 1} components", file=sys.stderr)


if __name__ == "__main__":
    main()

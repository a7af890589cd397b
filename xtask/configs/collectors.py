"""Checks every configuration of a collector, first as text and then with the collector itself.

    collectors.py CHECKOUT MODULE.wasm

As text: YAML or JSON without a name twice, only sections, plugins and options that the collector has, every include
there, every input of a Vector component defined. With the collector: `fluent-bit --dry-run` and `vector validate`
where they are on the PATH; where not, that is said. Needs PyYAML.
"""

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

# What Fluent Bit 5.1 and Vector 0.58 take, by component: written by options.py from what they say of themselves.
OPTIONS = json.loads(Path(__file__).with_name("options.json").read_text())

FLUENT_BIT_SECTIONS = {"includes", "env", "service", "parsers", "pipeline"}
VECTOR_SECTIONS = {"data_dir", "secret", "sources", "transforms", "sinks"}


class Strict(yaml.SafeLoader):
    """YAML in which a name stands once in a mapping."""

    def construct_mapping(self, node, deep=False):
        names = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        for name in names:
            if names.count(name) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"`{name}` stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def configurations(folder):
    """The collectors' configurations below a folder: those of Fluent Bit, those of Vector."""
    others = ("kustomization.yaml", "audit-filter.yaml")
    files = sorted(p for p in folder.rglob("*.yaml") if p.name not in others and "kubernetes" not in p.relative_to(folder).parts)
    fluent_bit = [path for path in files if path.parent.name == "fluent-bit" or path.name.startswith("fluent-bit")]
    vector = [path for path in files if path.parent.name == "vector" or path.name.startswith("vector")]
    return fluent_bit, vector


def fluent_bit_problems(path, config):
    for section in config.keys() - FLUENT_BIT_SECTIONS:
        yield f"unknown section `{section}`"
    for include in config.get("includes", []):
        if not (path.parent / include).exists():
            yield f"includes {include}, which is not there"
    for name in config.get("service", {}).keys() - set(OPTIONS["fluent-bit"]["service"]):
        yield f"service: unknown option `{name}`"
    for kind, plugins in config.get("pipeline", {}).items():
        for plugin in plugins:
            known = OPTIONS["fluent-bit"].get(f"{kind}.{plugin['name']}")
            if known is None:
                yield f"{kind}: unknown plugin `{plugin['name']}`"
                continue
            for option in plugin.keys() - {"name"}:
                if not any(fnmatch.fnmatchcase(option.lower(), pattern) for pattern in known):
                    yield f"{kind}: {plugin['name']} has no option `{option}`"


def vector_problems(path, config):
    for section in config.keys() - VECTOR_SECTIONS:
        yield f"unknown section `{section}`"
    for kind in ["sources", "transforms", "sinks"]:
        for name, component in config.get(kind, {}).items():
            known = OPTIONS["vector"].get(f"{kind}.{component['type']}")
            if known is None:
                yield f"{kind}: {name}: unknown type `{component['type']}`"
                continue
            for option in component.keys() - {"type", "inputs"} - set(known):
                yield f"{kind}: {name}: {component['type']} has no option `{option}`"
    for secret in re.findall(r"SECRET\[([\w-]+)\.", path.read_text()):
        if secret not in config.get("secret", {}):
            yield f"asks the secret backend `{secret}`, which it does not define"


def vector_companions(path, folder):
    """The files that a Vector configuration is started with, beside itself."""
    text = path.read_text()
    named = re.findall(r"--config (\S+\.yaml)", text.split("\n\n")[0])
    return sorted({(path.parent / name).resolve() for name in named} | {path.resolve()})


def vector_inputs(path, parsed):
    """The inputs that nothing defines, of what is started together."""
    together = [parsed[each] for each in vector_companions(path, path.parent) if each in parsed]
    outputs = set()
    for config in together:
        outputs |= config.get("sources", {}).keys()
        for name, transform in config.get("transforms", {}).items():
            routes = transform.get("routes") or transform.get("route") or []
            outputs |= {name, f"{name}._unmatched", f"{name}.dropped"}
            outputs |= {f"{name}.{route['name'] if isinstance(route, dict) else route}" for route in routes}
    for kind in ["transforms", "sinks"]:
        for name, component in parsed[path.resolve()].get(kind, {}).items():
            for wanted in component["inputs"]:
                if not fnmatch.filter(outputs, wanted):
                    yield f"{kind}: {name}: nothing is called `{wanted}` in the files it is started with"


def credentials(path):
    """Lines that hold a credential instead of saying where it comes from."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = re.match(r"\s*[\w.]*(passwd|password|token|secret_key|api_key)\s*[:=]\s*(\S.*)", line, re.IGNORECASE)
        if found and not re.match(r"""['"]?(\$\{\w+\}|SECRET\[|['"]?$)""", found[2]):
            yield f"line {number} holds a credential: take it from the environment or a secret"


def as_text(folder):
    fluent_bit, vector = configurations(folder)
    parsed, problems = {}, []
    for path in fluent_bit + vector:
        try:
            parsed[path.resolve()] = yaml.load(path.read_text(), Strict)
        except yaml.YAMLError as error:
            problems.append((path, str(error).replace("\n", " ")))
    for path in fluent_bit + vector:
        config = parsed.get(path.resolve())
        if config is None:
            continue
        check = fluent_bit_problems if path in fluent_bit else vector_problems
        problems += [(path, problem) for problem in check(path, config)]
        problems += [(path, problem) for problem in credentials(path)]
    for path in vector:
        if path.resolve() in parsed:
            problems += [(path, problem) for problem in vector_inputs(path, parsed)]
    for path in sorted(folder.rglob("*.json")):
        try:
            json.loads(path.read_text(), object_pairs_hook=once)
        except ValueError as error:
            problems.append((path, str(error)))
    return problems, len(fluent_bit), len(vector)


def once(pairs):
    names = [name for name, _ in pairs]
    if len(names) != len(set(names)):
        raise ValueError(f"a name stands twice among {names}")
    return dict(pairs)


def run(command, environment=None, directory=None):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, cwd=directory)
    return done.returncode, (done.stdout + done.stderr).strip()


def with_fluent_bit(folder, module):
    """`fluent-bit --dry-run` of each configuration that has an output, on a copy whose paths are there."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "pipeline-configs"
        shutil.copytree(folder, copy)
        filter_dir = Path(scratch) / "audit-filter"
        filter_dir.mkdir()
        shutil.copy(module, filter_dir / "audit_filter.wasm")
        for path in configurations(copy)[0]:
            path.write_text(path.read_text().replace("/etc/audit-filter", str(filter_dir)))
        for path in configurations(copy)[0]:
            config = yaml.load(path.read_text(), Strict)
            if not config.get("pipeline", {}).get("outputs"):
                continue
            names = set(re.findall(r"\$\{(\w+)\}", "".join(p.read_text() for p in configurations(copy)[0])))
            # Addresses and credentials as a user would give them; ports must be numbers.
            values = {name: "1" if name.endswith("PORT") else "https://x.example.com" if name.endswith("ENDPOINT") else "x"
                      for name in names if not name.endswith(("DIR", "_LOG"))}
            status, output = run(["fluent-bit", "--dry-run", "-c", str(path)], os.environ | values)
            if status != 0 or "configuration test is successful" not in output or "[error]" in output:
                errors = [line for line in output.splitlines() if "error" in line or "warn" in line]
                yield folder / path.relative_to(copy), "fluent-bit --dry-run: " + " ".join(errors)


def with_vector(folder):
    """`vector validate` of each configuration with what it is started with, without asking servers for their health."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "pipeline-configs"
        shutil.copytree(folder, copy)
        for path in configurations(copy)[1]:
            # It reads no secrets, and an address that is one must look like one.
            text = re.sub(r"SECRET\[[\w-]+\.([\w-]+)\]", lambda secret: "https://x" if secret[1].endswith("url") else "x",
                          path.read_text())
            path.write_text(text.replace("/var/lib/vector", scratch))
        for path in configurations(copy)[1]:
            if not yaml.load(path.read_text(), Strict).get("sinks"):
                continue
            # Only what is built shows what templates may not do; a certificate is not here to build with.
            how = "--no-environment" if "crt_file" in path.read_text() else "--skip-healthchecks"
            status, output = run(["vector", "validate", how, *map(str, vector_companions(path, path.parent))])
            if status != 0:
                yield folder / path.relative_to(copy), "vector validate: " + output.replace("\n", " ")


def with_program(*command_and_path):
    """What a program says of one file, if it does not like it."""
    *command, path = command_and_path
    status, output = run([*command, str(path)])
    if status != 0:
        yield path, f"{' '.join(command)}: " + output.replace("\n", " ")


def main(checkout, module):
    folder = checkout / "pipeline-configs"
    problems, fluent_bit, vector = as_text(folder)
    for script in sorted(folder.rglob("*.sh")):
        problems += with_program("bash", "-n", script)
    ran = []
    for program, check in [
        ("fluent-bit", lambda: with_fluent_bit(folder, module)),
        ("vector", lambda: with_vector(folder)),
        ("amtool", lambda: with_program("amtool", "check-config", folder / "alerts/alertmanager.yml")),
    ]:
        if shutil.which(program):
            problems += check()
            ran.append(f"run with {program}")
        else:
            ran.append(f"SKIPPED: {program} is not on the PATH")
    for path, problem in problems:
        print(f"{path.relative_to(checkout)}: {problem}", file=sys.stderr)
    print(f"{fluent_bit} configurations of Fluent Bit, {vector} of Vector; {', '.join(ran)}", file=sys.stderr)
    return 1 if problems or not (fluent_bit and vector) else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))

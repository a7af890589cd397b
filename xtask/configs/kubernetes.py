"""Checks the manifests: rendered by kustomize where kubectl is on the PATH, held against the types of the Kubernetes API, and
against what the manifests promise.

    kubernetes.py CHECKOUT NODE_MODULES

Needs PyYAML; `kubernetes-types` and `typescript` from npm.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from collectors import Strict, run

MODULES = {"v1": "core/v1", "apps/v1": "apps/v1", "networking.k8s.io/v1": "networking/v1"}


def rendered(folder):
    """The objects of each folder that can be applied, by folder; and what kustomize does not like."""
    objects, problems = {}, []
    for path in sorted(folder.glob("*/kustomization.yaml")):
        if shutil.which("kubectl"):
            status, output = run(["kubectl", "kustomize", str(path.parent)])
            if status != 0:
                problems.append(f"{path}: kubectl kustomize: {output}")
                continue
            objects[path.parent] = list(yaml.load_all(output, Strict))
        else:
            objects[path.parent] = [
                document
                for file in sorted(path.parent.glob("*.yaml"))
                if file.name not in ("kustomization.yaml", "audit-filter.yaml")
                for document in yaml.load_all(file.read_text(), Strict)
            ]
    return objects, problems


def type_problems(objects, modules):
    """What the compiler says of the objects as values of the API's types, names that those do not have included."""
    lines = []
    for index, (folder, manifest) in enumerate((f, m) for f, all_of in objects.items() for m in all_of):
        module, kind = MODULES[manifest["apiVersion"]], manifest["kind"]
        lines.append(f'import type {{ {kind} as K{index} }} from "kubernetes-types/{module}"; '
                     f"export const {folder.name.replace('-', '_')}_{kind}_{index}: K{index} = {json.dumps(manifest)};")
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "node_modules").symlink_to(modules)
        (Path(scratch) / "manifests.ts").write_text("\n".join(lines))
        command = [modules / ".bin/tsc", "--noEmit", "--strict", "--skipLibCheck", "--module", "preserve", "--target", "es2022",
                   "--types", "", "manifests.ts"]
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=120)
    for line in done.stdout.splitlines():
        number = line.removeprefix("manifests.ts(").split(",")[0]
        where = lines[int(number) - 1].split("const ")[1].split(":")[0] if number.isdigit() else ""
        yield f"{where}: {line}"
    if done.returncode != 0 and not done.stdout:
        yield f"tsc: {done.stderr}"


def promise_problems(manifest):
    """What a workload does that the manifests promise not to."""
    template = manifest.get("spec", {}).get("template")
    if template is None:
        return
    pod = template["spec"]
    if pod.get("automountServiceAccountToken") is not False:
        yield "mounts an account's token"
    if pod.get("hostNetwork") or pod.get("hostPID") or pod.get("hostIPC"):
        yield "is in a namespace of the node"
    host_paths = {volume["name"]: volume["hostPath"]["path"] for volume in pod["volumes"] if "hostPath" in volume}
    for container in pod["containers"] + pod.get("initContainers", []):
        context = container.get("securityContext", {})
        wanted = {"privileged": False, "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                  "capabilities": {"drop": ["ALL"]}}
        for name, value in wanted.items():
            if context.get(name) != value:
                yield f"container {container['name']}: {name} is {context.get(name)}"
        if not container.get("resources", {}).get("limits", {}).get("memory"):
            yield f"container {container['name']}: no limit of memory"
        for mount in container["volumeMounts"]:
            path = host_paths.get(mount["name"], "")
            if path.startswith("/var/log") and not mount.get("readOnly"):
                yield f"container {container['name']}: may write the node's {path}"


def main(checkout, modules):
    folder = checkout / "pipeline-configs/kubernetes"
    objects, problems = rendered(folder)
    problems += type_problems(objects, modules.resolve())
    workloads = 0
    for place, manifests in objects.items():
        for manifest in manifests:
            workloads += manifest["kind"] in ("DaemonSet", "StatefulSet")
            problems += [f"{place.name}: {manifest['kind']} {manifest['metadata']['name']}: {problem}"
                         for problem in promise_problems(manifest)]
    for path in sorted((folder / "helm").glob("*.yaml")):
        yaml.load(path.read_text(), Strict)
    for problem in problems:
        print(problem, file=sys.stderr)
    how = "rendered by kustomize" if shutil.which("kubectl") else "SKIPPED kustomize: kubectl is not on the PATH"
    print(f"{sum(map(len, objects.values()))} Kubernetes objects in {len(objects)} folders, {how}", file=sys.stderr)
    return 1 if problems or workloads != 4 else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))

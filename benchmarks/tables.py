"""Write the tables of README.md from the JSON files in results.

python benchmarks/tables.py
"""

import json
import re
from pathlib import Path

HERE = Path(__file__).parent


def activations(name: str) -> str:
    """A row for each size, input and parameter of benchmarks/activations.py."""
    content = measured(name)
    if content is None:
        return "Not measured."
    lines = [
        described(content["provenance"]),
        "",
        "| size | input | activation | parameter | SAN | into memory at hand | with gradient "
        "| copy | copy into new memory | compared with | takes longer |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in content["rows"]:
        times = row["rivals_ns_per_sample"]
        own = row["san_ns_per_sample"]
        rivals = ", ".join(f"{name} {number(value)}" for name, value in times.items())
        rivals = rivals.replace("|", r"\|")  # which ends a cell
        ratios = ", ".join(f"**{value / own:.1f} times**" for value in times.values())
        cells = [
            "×".join(map(str, row["shape"])),
            row["input"],
            f"`{row['operation']}`",
            str(row["parameter"]),
            number(own),
            number(row["san_into_memory_at_hand_ns_per_sample"]),
            number(row["san_with_gradient_ns_per_sample"]),
            number(row["copy_ns_per_sample"]),
            number(row["copy_into_new_memory_ns_per_sample"]),
            rivals,
            ratios,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def gpu_counts(name: str) -> str:
    """The bounds of benchmarks/gpu_counts.py, and what each kernel consists of."""
    content = measured(name)
    if content is None:
        return "Not counted."
    lines = [
        described(content["provenance"]),
        "",
        "| kernel | samples of a program | cycles to issue | cycles to move | cycles of a copy "
        "| bound |",
        "|---|---|---|---|---|---|",
    ]
    plain = [row for row in content["rows"] if row["type"] == "fp32" and "table" not in row]
    for row in plain:
        if "copy_cycles" not in row:
            continue  # a kernel with loops has no bound
        bound = min(1.0, row["copy_cycles"] / max(row["issue_cycles"], row["move_cycles"]))
        cycles = (row[f"{what}_cycles"] for what in ("issue", "move", "copy"))
        cells = [row["kernel"], str(row["samples"]), *(f"{each:.0f}" for each in cycles)]
        cells.append("" if row["kernel"].startswith("extrema,") else f"{100 * bound:.0f} %")
        lines.append("| " + " | ".join(cells) + " |")  # no bound of a part of a kernel
    lines += [
        "",
        "| kernel | function | warps | instructions | registers | spilled | shared memory |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in plain:
        names = ("warps", "instructions", "registers", "spilled", "shared")
        cells = [row["kernel"], f"`{row['function']}`", *(str(row[each]) for each in names)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def bank(name: str) -> str:
    """A row for each activation of benchmarks/bank.py."""
    content = measured(name)
    if content is None:
        return "Not measured."
    lines = [
        described(content["provenance"]),
        "",
        "| activation | bank | one size after the other | the same, extrema in a Python loop |",
        "|---|---|---|---|",
    ]
    for row in content["rows"]:
        own = row["bank_s"]
        others = [row.get(key) for key in ("one_by_one_s", "one_by_one_in_a_loop_s")]
        cells = [f"{other:.2f} s ({other / own:.0f} times)" if other else "" for other in others]
        lines.append(f"| {row['activation']} | {own:.4f} s | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def encoder_shares(name: str) -> str:
    """A row for each stream of benchmarks/encoder_device.py on the CPU."""
    content = measured(name)
    if content is None:
        return "Not measured."
    lines = [
        described(content["provenance"]),
        "",
        "| record | target | CPU time | correlations | strongest similarity | its extrema "
        "| choices of kernels | in all | at most so many times as fast |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in content["rows"]:
        of = row["shares"]
        parts = (of["similarities_of"], of["strongest"], of["peaks"], of["gram"] + of["take"])
        cells = [row["record"], row["target"], f"{row['cpu_seconds']:.1f} s"]
        cells += [f"{100 * part:.0f} %" for part in (*parts, row["moves"])]
        lines.append("| " + " | ".join([*cells, f"{1 / (1 - row['moves']):.1f}"]) + " |")
    return "\n".join(lines)


def encoder_times(name: str) -> str:
    """A row for each stream of benchmarks/encoder_device.py on a GPU."""
    content = measured(name)
    if content is None:
        return "Not measured."
    lines = [
        described(content["provenance"]),
        "",
        "| record | target | time with the GPU | on the CPU alone | bytes with the GPU "
        "| on the CPU alone | the same bytes again |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in content["rows"]:
        cells = [row["record"], row["target"]]
        cells += [f"{row[f'{where}_seconds']:.2f} s" for where in ("device", "cpu")]
        cells += [str(row[f"{where}_bytes"]) for where in ("device", "cpu")]
        cells.append("yes" if row["device_same_bytes_again"] else "no")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def archive(name: str) -> str:
    """A row for each run of benchmarks/archive.py."""
    content = measured(name)
    if content is None:
        return "Not measured."
    of = content["archive"]
    lines = [
        described(content["provenance"]),
        "",
        f"{of['records']} records of {of['seconds']} s out of {of['recordings']} recordings, "
        f"{of['bytes_before']} bytes before and {of['bytes_after']} after, at a PRDN of at most "
        f"{of['prdn']:g} %; {of['cores']} cores.",
        "",
        "| run | time | records a second | efficiency |",
        "|---|---|---|---|",
    ]
    for row in content["rows"]:
        efficiency = f"{100 * row['efficiency']:.0f} %" if "efficiency" in row else ""
        cells = [row["what"], f"{row['seconds']:.1f} s", number(row["records_per_second"])]
        lines.append("| " + " | ".join([*cells, efficiency]) + " |")
    return "\n".join(lines)


def cold_start(name: str) -> str:
    """A row for each command of benchmarks/cold_start.py."""
    content = measured(name)
    if content is None:
        return "Not measured."
    of = content["cold_start"]
    lines = [
        described(content["provenance"]),
        "",
        f"{of['seconds']} s of two leads; {of['cores']} cores; shortest of {of['repeats']}.",
        "",
        "| command | loops of the codec | first call, CPU | time | compiled before, CPU | time |",
        "|---|---|---|---|---|---|",
    ]
    for row in content["rows"]:
        times = [row[f"{state}_{key}"] for state in ("cold", "warm") for key in ("cpu", "wall")]
        cells = [f"`{row['what']}`", row["way"], *(f"{t:.2f} s" for t in times)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


DETECTORS = {
    "san_all_leads": "**SAN**, all leads",
    "san_first_lead": "**SAN**, first lead",
    "san_stream": "**SAN**, first lead of a stream at a PRDN of 8 %",
    "sleepecg": "SleepECG",
    "neurokit2": "NeuroKit2",
    "biosppy_hamilton": "BioSPPy, Hamilton",
    "wfdb_xqrs": "wfdb, xqrs",
    "wfdb_gqrs": "wfdb, gqrs",
}


def beats(name: str) -> str:
    """A row for each detector and database of benchmarks/beats.py, and the AUC of the ranking."""
    content = measured(name)
    if content is None:
        return "Not measured."
    lines = [described(content["provenance"])]
    for database in dict.fromkeys(row["database"] for row in content["rows"]):
        rows = [row for row in content["rows"] if row["database"] == database]
        lines += [
            "",
            f"`{database}`, {rows[0]['records']} records:",
            "",
            "| detector | sensitivity, % | predictivity, % | F1 at 150 ms | F1 at 50 ms | missed "
            "| extra | worst record's F1 | CPU, s |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for row in sorted(rows, key=lambda row: -row["150"]["f1"]):
            wide = row["150"]
            version = "" if row["detector"].startswith("san") else f" {row['version']}"
            cells = [
                DETECTORS[row["detector"]] + version,
                f"{100 * wide['sensitivity']:.2f}",
                f"{100 * wide['predictivity']:.2f}",
                f"{wide['f1']:.4f}",
                f"{row['50']['f1']:.4f}",
                str(wide["missed"]),
                str(wide["extra"]),
                f"{wide['worst'][0]:.3f} ({wide['worst'][1]})",
                number(row["cpu"]),
            ]
            lines.append("| " + " | ".join(cells) + " |")
    for kind, word in (("V", "ventricular"), ("S", "supraventricular")):
        found = {row["record"]: row[kind] for row in content["ranking"] if kind in row}
        worst = min(found, key=found.__getitem__)
        mean = sum(found.values()) / len(found)
        lines += [
            "",
            f"AUC of the ranking for {word} beats: {mean:.3f} in the mean over {len(found)} "
            f"records, {found[worst]:.3f} in the worst ({worst}).",
        ]
    return "\n".join(lines)


def recordings(name: str) -> str:
    """A row for each test patient, and for each model of several leads, of recordings.py."""
    content = measured(name)
    if content is None:
        return "Not measured."
    patients, leads = content["patients"], content["leads"]
    lines = [
        described(content["provenance"]),
        "",
        "| test patient | patients drawn with seed | φ, one model of 12 other patients "
        "| φ, a model of this record | CPU seconds, 12 patients | CPU seconds, this record |",
        "|---|---|---|---|---|---|",
    ]
    for row in patients:
        lines.append(
            f"| {row['record']} | {row['seed']} | {row['many_phi']:.3f} | {row['own_phi']:.3f} "
            f"| {row['many_cpu_seconds']:.1f} | {row['own_cpu_seconds']:.1f} |"
        )
    many, own = (sum(row[key] for row in patients) / len(patients) for key in
                 ("many_phi", "own_phi"))  # fmt: skip
    lines += [
        f"| mean | | **{many:.3f}** | **{own:.3f}** | | |",
        "",
        "| leads | windows | test recordings | φ | CR⁻¹ | loss | CPU seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in leads:
        lines.append(
            f"| {row['leads']} | {row['windows']} | {row['test_recordings']} | {row['phi']:.3f} "
            f"| {row['inverse_compression_ratio']:.3f} | {row['normalized_loss']:.3f} "
            f"| {row['cpu_seconds']:.1f} |"
        )
    return "\n".join(lines)


def recordings_beyond(name: str) -> str:
    """A row for each model of recordings_beyond.py: mean φ over the drawings of patients."""
    content = measured(name)
    if content is None:
        return "Not measured."
    many: dict[str, list[dict[str, float]]] = {}
    for row in content["rows"]:
        if "many_phi" not in row:
            many.setdefault(row["variant"], []).append(row)
    lines = [
        described(content["provenance"]),
        "",
        "| one model of 12 patients, tested on 4 others | φ, each seed | mean φ | CR⁻¹ | loss |",
        "|---|---|---|---|---|",
    ]
    for variant, rows in many.items():
        means = (
            sum(row[key] for row in rows) / len(rows)
            for key in ("phi", "inverse_compression_ratio", "normalized_loss")
        )
        each = ", ".join(f"{row['phi']:.3f}" for row in rows)
        lines.append(f"| {variant} | {each} | {' | '.join(f'{m:.3f}' for m in means)} |")
    own = [row for row in content["rows"] if "many_phi" in row]
    phi = [sum(row[key] for row in own) / len(own) for key in ("many_phi", "phi")]
    lines += [
        "",
        f"On the last windows of a test record the second model has the mean φ {phi[0]:.3f}, and a "
        f"model of that record alone {phi[1]:.3f} ({len(own)} comparisons).",
    ]
    return "\n".join(lines)


def sparse_coding(name: str) -> str:
    """A row for each record and method of benchmarks/sparse_coding.py."""
    content = measured(name)
    if content is None:
        return "Not measured."
    versions = next(row["versions"] for row in content["chosen"] if "versions" in row)
    models = {method: min(each.values()) for method, each in content["models"].items()}
    lines = [
        described(content["provenance"]),
        "",
        f"alphacsc {versions['alphacsc']}, SPORCO {versions['sporco']}, with numpy "
        f"{versions['numpy']}. Kernel sizes {', '.join(map(str, content['sizes']))}. "
        "Trained models of each record, at least: "
        + ", ".join(f"{name} {n}" for name, n in models.items()).replace("sporco", "SPORCO")
        + ".",
        "",
        "| record | method | amplitudes | kernels × size | φ | CR⁻¹ | loss | events | learn, CPU s "
        "| encode a window, CPU ms |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in content["chosen"]:
        test = row["test"]
        kernels = row.get("kernels", 2 if row["method"] == "SAN, best variant" else 1)
        cells = [
            row["record"],
            row["method"].replace("sporco", "SPORCO"),
            "refitted" if row["refit"] else "as coded",
            f"{kernels} × {row['size']}",
            f"**{test['phi']:.3f}**",
            f"{test['ratio']:.3f}",
            f"{test['loss']:.3f}",
            f"{test['events']:.0f}",
            number(row["learn_cpu_seconds"]),
            number(1e3 * row["encode_cpu_seconds"]),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def windows(name: str) -> str:
    """A row for each chunk length of benchmarks/windows.py."""
    content = measured(name)
    if content is None:
        return "Not measured."
    lines = [
        described(content["provenance"]),
        "",
        "| chunk | events | bits a sample | windows a second, decoded anew "
        "| windows a second, in the cache |",
        "|---|---|---|---|---|",
    ]
    for row in content["rows"]:
        lines.append(
            f"| {row['chunk_seconds']} s | {'yes' if row['events'] else 'no'} "
            f"| {row['bits_per_sample']:.2f} | {number(row['windows_per_second'])} "
            f"| {row['windows_per_second_in_cache']:,.0f} |"
        )
    return "\n".join(lines)


def random_access(name: str) -> str:
    """A row for each target and chunk length of benchmarks/random_access.py."""
    content = measured(name)
    if content is None:
        return "Not measured."
    lines = [
        described(content["provenance"]),
        "",
        "| target | chunk | bytes | ms, near each other | ms, anywhere | ms, without a cache |",
        "|---|---|---|---|---|---|",
    ]
    for row in content["rows"]:
        chunk = f"{row['chunk_seconds']} s" if row["chunk_seconds"] else "default"
        times = " | ".join(number(row[key]) for key in ("near", "anywhere", "alone"))
        lines.append(f"| {row['target']} | {chunk} | {row['bytes']:,} | {times} |")
    return "\n".join(lines)


def live(name: str) -> str:
    """A row for each record, chunk length and way to learn of benchmarks/live.py."""
    content = measured(name)
    if content is None:
        return "Not measured."
    lines = [
        described(content["provenance"]),
        "",
        "| record | chunk | kernels from | bytes | s, first chunk | s, longest of the others |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['record']} | {row['chunk_seconds']} s | {row['way']} | {row['bytes']:,} "
        f"| {number(row['first'])} | {number(row['longest'])} |"
        for row in content["rows"]
    ]
    return "\n".join(lines)


def heartbeat_targets(name: str) -> str:
    """A row for each target and database of benchmarks/heartbeat_targets.py."""
    content = measured(name)
    if content is None:
        return "Not measured."
    lines = [described(content["provenance"])]
    for database in dict.fromkeys(row["database"] for row in content["rows"]):
        rows = [row for row in content["rows"] if row["database"] == database]
        records = len({row["record"] for row in rows})
        seconds = max(row["seconds"] for row in rows)
        lines += [
            "",
            f"`{database}`, {records} records, at most {seconds:.0f} s of each:",
            "",
            "| target | bits per sample | largest PRDN, % | largest error, µV | R amplitude lost, "
            "worst, µV | QRS, 99th percentile, µV | QRS, worst, µV | ST, worst, µV | RR, worst, ms "
            "| beats lost, new |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        for target in sorted({row["target"] for row in rows}, key=_kind_and_value):
            these = [row for row in rows if row["target"] == target]
            bits = 8 * sum(row["bytes"] for row in these) / sum(row["values"] for row in these)
            lost = sum(row["before"] - row["both"] for row in these)
            new = sum(row["after"] - row["both"] for row in these)
            cells = [
                target,
                f"{bits:.2f}",
                f"{max(row['prdn'] for row in these):.1f}",
                f"{max(row['largest_error_uv'] for row in these):.0f}",
                f"{1e3 * _worst(these, 'r_loss', 'worst'):.0f}",
                f"{1e3 * _worst(these, 'qrs', 'p99'):.0f}",
                f"{1e3 * _worst(these, 'qrs', 'worst'):.0f}",
                f"{1e3 * _worst(these, 'st', 'worst'):.0f}",
                f"{_worst(these, 'rr', 'worst'):.0f}",
                f"{lost}, {new}",
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _worst(rows: list[dict], measure: str, which: str) -> float:
    return max(row[measure][which] or 0.0 for row in rows)


def _kind_and_value(target: str) -> tuple[int, float]:
    """A PRDN, then a bound, then both."""
    return ("," in target) * 2 + target.startswith("bound"), float(target.split()[-1])


def measured(name: str) -> dict | None:
    """The content of a file of results, if it is there."""
    path = HERE / "results" / name
    return json.loads(path.read_text()) if path.is_file() else None


def paper(name: str) -> str:
    """The tables of `san reproduce`, without those of every kernel size."""
    path = HERE / "results" / name / "tables.md"
    if not path.is_file():
        return "Not run."
    kept = re.sub(r"Every kernel size:\n\n(\|.*\n)+", "", path.read_text())
    return kept.replace("## ", "### ").strip()


def described(provenance: dict[str, str]) -> str:
    """What the numbers depend on, as a sentence."""
    versions = ", ".join(
        f"{name} {value}" for name, value in provenance.items() if name not in ("commit", "device")
    )
    return f"{provenance['device']}, commit {provenance['commit']}, {versions}."


def number(value: float) -> str:
    """Three significant digits."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def main() -> None:
    """Replace what stands between the marks of each table."""
    readme = HERE / "README.md"
    text = readme.read_text()
    tables = {
        "activations": activations("activations.json"),
        "activations-cuda": activations("activations-cuda.json"),
        "gpu-counts": gpu_counts("gpu-counts.json"),
        "bank": bank("bank.json"),
        "bank-cuda": bank("bank-cuda.json"),
        "encoder-shares": encoder_shares("encoder-shares.json"),
        "encoder-cuda": encoder_times("encoder-cuda.json"),
        "archive": archive("archive.json"),
        "random-access": random_access("random-access.json"),
        "live": live("live.json"),
        "recordings": recordings("recordings.json"),
        "recordings-beyond": recordings_beyond("recordings-beyond.json"),
        "sparse-coding": sparse_coding("sparse_coding.json"),
        "windows": windows("windows.json"),
        "beats": beats("beats.json"),
        "heartbeat-targets": heartbeat_targets("heartbeat_targets.json"),
        "heartbeat-targets-all": heartbeat_targets("heartbeat_targets_all.json"),
        "cold-start": cold_start("cold-start.json"),
        "physionet": paper("physionet"),
        "classified": paper("classified"),
    }
    if (HERE / "results/codec.json").is_file():
        import codec_tables  # which needs the rivals' packages

        content = json.loads((HERE / "results/codec.json").read_text())
        tables |= codec_tables.tables(content)
        measured_by = described(content["provenance"])
        tables["codec-rate"] = f"{measured_by}\n\n{tables['codec-rate']}"
    for name, table in tables.items():
        mark = f"<!-- {name} -->"
        pattern = re.compile(f"{mark}.*?{mark}", re.DOTALL)
        text = pattern.sub(lambda _, m=mark, t=table: f"{m}\n{t}\n{m}", text)
    readme.write_text(text)


if __name__ == "__main__":
    main()

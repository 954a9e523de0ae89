"""Tables of README.md about signals: heartbeats, events, models of patients, bounds kept fast."""

from statistics import fmean, geometric_mean

from table_cells import described, line, number

BITS_OF_MITDB = 11  # of a sample of MIT-BIH, which ratios are against

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


def beats(content: dict) -> str:
    """A row for each detector and database of benchmarks/beats.py, and the AUC of the ranking."""
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
            lines.append(line(cells))
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


def recordings(content: dict) -> str:
    """A row for each test patient, and for each model of several leads, of recordings.py."""
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


def recordings_beyond(content: dict) -> str:
    """A row for each model of recordings_beyond.py: mean φ over the drawings of patients."""
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


def sparse_coding(content: dict) -> str:
    """A row for each record and method of benchmarks/sparse_coding.py."""
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
        lines.append(line(cells))
    return "\n".join(lines)


def heartbeat_targets(content: dict) -> str:
    """A row for each target and database of benchmarks/heartbeat_targets.py."""
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
            lines.append(line(cells))
    return "\n".join(lines)


def _worst(rows: list[dict], measure: str, which: str) -> float:
    return max(row[measure][which] or 0.0 for row in rows)


def _kind_and_value(target: str) -> tuple[int, float]:
    """A PRDN, then a bound, then both."""
    return ("," in target) * 2 + target.startswith("bound"), float(target.split()[-1])


def fast_bounds(content: dict) -> str:
    """A row for each set and bound of benchmarks/fast_bounds.py."""
    lines = [
        described(content["provenance"]),
        "",
        "| data set, channels (recordings) | target | bits a sample, SAN fast | rival "
        "| recordings where the rival has fewer bytes |",
        "|---|---|---|---|---|",
    ]
    for row in content["rows"]:
        rival = "SZ3" if row["bound"] else "FLAC"
        cells = [
            f"{row['set']}, {row['channels']} ({row['recordings']})",
            f"± {row['bound']}" if row["bound"] else "without loss",
            f"**{row['SAN fast']:.3f}**"
            if row["SAN fast"] < row[rival]
            else f"{row['SAN fast']:.3f}",
            f"{rival} {row[rival]:.3f}",
            str(row["larger"]),
        ]
        lines.append(line(cells))
    return "\n".join(lines)


def two_leads(content: dict) -> str:
    """A row for each target of benchmarks/two_leads.py."""
    lines = [
        f"{described(content['provenance'])} The earlier version is commit {content['before']}.",
        "",
        "| target | mean CR | bytes beside the earlier version's: mean, least, most (record) "
        "| records with more bytes |",
        "| --- | --- | --- | --- |",
    ]
    for target in dict.fromkeys(row["target"] for row in content["rows"]):
        rows = [row for row in content["rows"] if row["target"] == target]
        ratios = {row["record"]: row["bytes"] / row["bytes_before"] for row in rows}
        most, least = max(ratios, key=ratios.__getitem__), min(ratios.values())
        cells = [
            target,
            number(fmean(BITS_OF_MITDB * row["values"] / (8 * row["bytes"]) for row in rows)),
            f"{geometric_mean(ratios.values()):.3f}, {least:.3f}, {ratios[most]:.3f} ({most})",
            str(sum(ratio > 1 for ratio in ratios.values())),
        ]
        lines.append(line(cells))
    return "\n".join(lines)

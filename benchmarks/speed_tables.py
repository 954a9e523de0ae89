"""Tables of README.md about time: activations, GPU, first calls, archives, windows of streams."""

from table_cells import described, line, number


def activations(content: dict) -> str:
    """A row for each size, input and parameter of benchmarks/activations.py."""
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
        lines.append(line(cells))
    return "\n".join(lines)


def gpu_counts(content: dict) -> str:
    """The bounds of benchmarks/gpu_counts.py, and what each kernel consists of."""
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
        lines.append(line(cells))  # no bound of a part of a kernel
    lines += [
        "",
        "| kernel | function | warps | instructions | registers | spilled | shared memory |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in plain:
        names = ("warps", "instructions", "registers", "spilled", "shared")
        cells = [row["kernel"], f"`{row['function']}`", *(str(row[each]) for each in names)]
        lines.append(line(cells))
    return "\n".join(lines)


def bank(content: dict) -> str:
    """A row for each activation of benchmarks/bank.py."""
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


def encoder_shares(content: dict) -> str:
    """A row for each stream of benchmarks/encoder_device.py on the CPU."""
    lines = [
        described(content["provenance"]),
        "",
        "| record | target | CPU time | correlations | strongest similarity | its extrema "
        "| choices of kernels | in all | at most so many times as fast |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in content["rows"]:
        of = row["shares"]
        strongest = of["strongest"] + of.get("strongest_near", 0.0)
        parts = (of["similarities_of"], strongest, of["peaks"], of["gram"] + of["take"])
        cells = [row["record"], row["target"], f"{row['cpu_seconds']:.1f} s"]
        cells += [f"{100 * part:.0f} %" for part in (*parts, row["moves"])]
        lines.append("| " + " | ".join([*cells, f"{1 / (1 - row['moves']):.1f}"]) + " |")
    return "\n".join(lines)


def encoder_times(content: dict) -> str:
    """A row for each stream of benchmarks/encoder_device.py on a GPU."""
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
        lines.append(line(cells))
    return "\n".join(lines)


def archive(content: dict) -> str:
    """A row for each run of benchmarks/archive.py."""
    of = content["archive"]
    lines = [
        described(content["provenance"]),
        "",
        f"{of['records']} records of {of['seconds']} s out of {of['recordings']} recordings, "
        f"{of['bytes_before']:,} bytes before, at a PRDN of at most {of['prdn']:g} %; "
        f"{of['cores']} cores.",
        "",
        "| run | time | records a second | bytes | efficiency |",
        "|---|---|---|---|---|",
    ]
    for row in content["rows"]:
        efficiency = f"{100 * row['efficiency']:.0f} %" if "efficiency" in row else ""
        size = f"{row['bytes']:,}" if "bytes" in row else ""
        cells = [row["what"], f"{row['seconds']:.1f} s", number(row["records_per_second"])]
        lines.append("| " + " | ".join([*cells, size, efficiency]) + " |")
    return "\n".join(lines)


def cold_start(content: dict) -> str:
    """A row for each command of benchmarks/cold_start.py."""
    of = content["cold_start"]
    lines = [
        described(content["provenance"]),
        "",
        f"{of['seconds']} s of one lead; {of['cores']} cores; shortest of {of['repeats']}.",
        "",
        "| command | loops of the codec | first call, CPU | time | compiled before, CPU | time |",
        "|---|---|---|---|---|---|",
    ]
    for row in content["rows"]:
        times = [row[f"{state}_{key}"] for state in ("cold", "warm") for key in ("cpu", "wall")]
        cells = [f"`{row['what']}`", row["way"], *(f"{t:.2f} s" for t in times)]
        lines.append(line(cells))
    return "\n".join(lines)


def windows(content: dict) -> str:
    """A row for each chunk length of benchmarks/windows.py."""
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


def random_access(content: dict) -> str:
    """A row for each target and chunk length of benchmarks/random_access.py."""
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


def live(content: dict) -> str:
    """A row for each record, chunk length and way to learn of benchmarks/live.py."""
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

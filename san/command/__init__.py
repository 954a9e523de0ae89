"""The commands of `san`: what each of them reads, calls and prints."""

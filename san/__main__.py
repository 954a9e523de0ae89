"""The command line as a module: `python -m san` and `torchrun -m san` are the command `san`."""

from san.cli import main

if __name__ == "__main__":
    main()

"""`python -m aqtaudio`: the command line."""

from aqtaudio.cli import main

raise SystemExit(main())

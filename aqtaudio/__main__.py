"""`python -m aqtaudio`: the command line."""

from aqtaudio.commands.command_line import main

raise SystemExit(main())

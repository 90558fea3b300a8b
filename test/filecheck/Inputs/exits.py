"""Runs a command and checks its exit status: `exits.py STATUS COMMAND...`; joins both outputs."""

import subprocess
import sys

wanted, *command = sys.argv[1:]
done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
sys.stdout.buffer.write(done.stdout)
if done.returncode != int(wanted):
    sys.exit(f"exit status {done.returncode}, not {wanted}")

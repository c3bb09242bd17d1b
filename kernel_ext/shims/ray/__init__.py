"""What ``import ray`` finds in the child processes of a program that runs on raynb (see `raynb.as_ray`)."""

import sys

import raynb

raynb.install_as_ray()
sys.modules[__name__] = raynb  # the import system looks here again

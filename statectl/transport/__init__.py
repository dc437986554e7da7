"""How bytes reach a host: the seam (`channel`), SSH, this machine, and the bundle that carries the executor."""

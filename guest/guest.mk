# The guest side: kernel, runtime library, programs. Freestanding, 64-bit.
guest:
.PHONY: guest

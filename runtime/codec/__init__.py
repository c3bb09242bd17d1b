"""Values as bytes and back: pickle with buffers beside it, and how one lies in shared memory. No I/O of its own."""

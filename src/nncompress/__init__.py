"""Neural-network compression papers, run again: their methods, their accounting, and the lab that trains them."""

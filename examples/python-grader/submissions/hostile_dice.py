# Wants to be right now and wrong later. There is nothing to tell the times apart by.
import os
import random
import time

seen = (random.random(), os.urandom(8), time.time_ns(), time.perf_counter_ns(), id(object()), hash("text"), os.getpid())
print(*seen)

# Sleeps for eleven days. Time is virtual: it passes at once.
import time

before = time.time()
time.sleep(1_000_000)
assert time.time() - before >= 1_000_000
print(sum(int(word) ** 2 for word in open(0).read().split()))

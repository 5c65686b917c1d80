import sys

total = 0
for line in sys.stdin:
    for word in line.split():
        total += int(word) ** 2
print(total)

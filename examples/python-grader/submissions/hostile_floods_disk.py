with open("/tmp/big", "wb") as file:
    for _ in range(1_000):
        file.write(b"x" * 1_000_000)
print(50)

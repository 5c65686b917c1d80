import os

print(50)
os._exit(77)

open("/in/submission.py", "w").write("print(50)")

import threading

threading.Thread(target=print, args=(50,)).start()

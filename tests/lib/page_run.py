"""Makes a script of a page: its fenced commands in their order, in one shell, with its files written before, ports that are free here
for those that stand there, and what is printed beside what should be.

usage: page_run.py PAGE FOLDER [PORT...]   writes FOLDER/script and FOLDER/wanted"""
import re
import sys

page, folder, ports = sys.argv[1], sys.argv[2], sys.argv[3:]
with open(page) as f:
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", f.read(), re.M | re.S)
known = {}


def with_ports(text):
    def port(m):
        known.setdefault(m.group(1), None)
        if known[m.group(1)] is None:
            known[m.group(1)] = ports[len(known) - 1]
        return "127.0.0.1:" + known[m.group(1)]
    return re.sub(r"127\.0\.0\.1:(74\d\d)", port, text)


script, wanted = "", ""
for kind, text in blocks:
    name = re.match(r"(?:#|//|/\*) (\w+\.\w+)", text)
    if kind == "sh":
        script += with_ports(text)
    elif kind == "text":
        wanted += text
    elif name:
        with open(folder + "/" + name.group(1), "w") as f:
            f.write(with_ports(text))
with open(folder + "/script", "w") as f:
    f.write(script)
with open(folder + "/wanted", "w") as f:
    f.write(wanted)

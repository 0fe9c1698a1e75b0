# Written for a plain CPU host; not built where this repository is made (no Docker engine there).
#   docker build -t lipsync-studio . && docker run --rm -p 127.0.0.1:7860:7860 lipsync-studio
FROM python:3.12-slim

# make finds Python, fetches the CPU build of PyTorch, and an OpenCV that needs no display libraries
RUN apt-get update \
    && apt-get install -y --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home studio
USER studio
WORKDIR /home/studio/app

# what changes seldom comes first, so that a change of code installs nothing again
COPY --chown=studio Makefile requirements.txt constraints.txt ./
RUN CI=true make install && rm -rf /home/studio/.cache/pip

COPY --chown=studio . .

EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD \
    [".venv/bin/python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:7860/', timeout=4)"]

# 0.0.0.0 inside the container only; what the host opens is said with -p
CMD [".venv/bin/python", "app.py", "--host", "0.0.0.0", "--port", "7860"]

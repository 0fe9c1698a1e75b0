# Not built where this repository is made (no Docker engine there); tests/test_docker.py reads it.
#   docker build -t lipsync-studio .
#   docker run --rm -p 127.0.0.1:7860:7860 -v lipsync-cache:/cache lipsync-studio
# For an NVIDIA card: docker build --build-arg TORCH=cu126 -t lipsync-studio . && docker run --gpus all …
FROM python:3.12-slim

# which build of PyTorch: cpu, or cu118, cu126, cu128 … as https://download.pytorch.org/whl names them
ARG TORCH=cpu

# make finds Python and fetches PyTorch, and an OpenCV that needs no display libraries
RUN apt-get update \
    && apt-get install -y --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*

# /cache holds what may outlive the container: uploads, results, models and avatars
RUN useradd --create-home --uid 1000 studio \
    && mkdir -p /cache/tmp /cache/huggingface \
    && chown -R studio:studio /cache \
    && chmod 700 /cache
USER studio
WORKDIR /home/studio/app

# what changes seldom comes first, so that a change of code installs nothing again
COPY --chown=studio:studio Makefile requirements.txt constraints.txt ./
RUN CI=true make install TORCH="$TORCH" && rm -rf /home/studio/.cache

COPY --chown=studio:studio . .

ENV HF_HOME=/cache/huggingface \
    LIPSYNC_HOME=/cache/lipsync-studio/data \
    XDG_CACHE_HOME=/cache \
    TMPDIR=/cache/tmp \
    PYTHONUNBUFFERED=1
VOLUME /cache

EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD \
    [".venv/bin/python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:7860/', timeout=4)"]

# 0.0.0.0 inside the container only; what the host opens is said with -p
CMD [".venv/bin/python", "app.py", "--host", "0.0.0.0", "--port", "7860"]

# The repository with everything installed, for CPUs:
#   docker build -t world-models .
#   docker run --rm --shm-size 1g -v "$PWD/demo:/world-models/demo" world-models
#   docker run --rm -it --shm-size 1g -v ~/logdir:/root/logdir world-models \
#       python dreamerv2/train.py --logdir /root/logdir/doorkey/1 --configs laptop minigrid
FROM debian:bookworm-slim
# libegl1 and Mesa's drivers draw dm_control's pictures
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        python3 python3-venv ca-certificates libegl1 libgl1 libgl1-mesa-dri \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /world-models
COPY . .
RUN bash -c 'source setup.bash \
    && python -m pip install --no-cache-dir --requirement requirements-dreamerv2.txt'
ENV PATH=/world-models/.venv/bin:$PATH PYTHONNOUSERSITE=1
CMD ["bash", "demo.bash"]

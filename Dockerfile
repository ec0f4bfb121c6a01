# holdfast as a container: the reference broker, and the harness itself.
#
#   docker build -t holdfast .
#   docker run -p 9876:9876 -p 10911:10911 -p 5557:5557 holdfast    # a RocketMQ for clients of this machine
#
# For clients of other machines say what they know this one by: ... holdfast broker --standalone --listen 0.0.0.0:9876 --broker-port 10911
# --metrics 0.0.0.0:5557 --advertise NAME. What the sandbox of matrix and run needs of a container stands in docs/broker.md.

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 make build && mkdir -p /data

# Nothing but the binary: it is static, needs no shell, no name service and no certificates.
FROM scratch
COPY --from=build /src/bin/holdfast /holdfast
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
VOLUME /data
EXPOSE 9876 10911 5557
STOPSIGNAL SIGTERM
ENTRYPOINT ["/holdfast"]
CMD ["broker", "--standalone", "--listen", "0.0.0.0:9876", "--broker-port", "10911", "--store", "/data", "--metrics", "0.0.0.0:5557", "--advertise", "127.0.0.1"]

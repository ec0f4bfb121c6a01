package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"

	"holdfast/broker/durability"
	"holdfast/broker/server"
	"holdfast/nemesis/clock"
)

// brokerFlags are what the broker command takes.
type brokerFlags struct {
	conf       string
	namesrv    string
	standalone bool
	listen     string
	brokerPort uint16
	store      string
	profile    string
	metrics    string
	advertise  string
	print      bool
	log        logFlags
}

func newBrokerCommand() *cobra.Command {
	var f brokerFlags
	cmd := &cobra.Command{
		Use:   "broker",
		Short: "Run the reference broker: RocketMQ's protocol, flush types and roles, in milliseconds.",
		Example: "  holdfast broker --standalone --listen 127.0.0.1:9876\n  holdfast broker -c broker.conf -n 127.0.0.1:9876\n" +
			"  holdfast broker --standalone --listen 0.0.0.0:9876 --broker-port 10911 --advertise rocketmq.example --metrics 0.0.0.0:5557",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runBroker(cmd, &f)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.conf, "config", "c", "", "broker.conf with RocketMQ's own property names")
	flags.StringVarP(&f.namesrv, "namesrv", "n", "", "addresses of name servers, separated by ';' (default: namesrvAddr of the file)")
	flags.BoolVar(&f.standalone, "standalone", false, "name server and broker in one process, without a file")
	flags.StringVar(&f.listen, "listen", "127.0.0.1:9876", "with --standalone: address of the name server; port 0 chooses one")
	flags.Uint16Var(&f.brokerPort, "broker-port", 0, "with --standalone: port of the broker, on the host of --listen; 0 chooses one")
	flags.StringVar(&f.store, "store", "", "with --standalone: directory of the store (default: in memory)")
	flags.StringVar(&f.profile, "profile", string(durability.RocketMQ5), "with --standalone: semantics, rocketmq-4.9, rocketmq-5 or holdfast")
	flags.StringVar(&f.advertise, "advertise", "", "host name or address that clients are told, for containers and translated addresses (default: brokerIP1 of the file, or where it listens)")
	flags.StringVar(&f.metrics, "metrics", "", metricsUsage)
	flags.BoolVarP(&f.print, "print-config", "p", false, "print the effective configuration, as broker.conf would hold it, and end")
	f.log.add(cmd)
	return cmd
}

func runBroker(cmd *cobra.Command, f *brokerFlags) error {
	log, err := f.log.logger()
	if err != nil {
		return exit(exitUsage, err)
	}
	if f.standalone == (f.conf != "") {
		return exit(exitUsage, errors.New("broker needs either -c FILE or --standalone"))
	}
	if err := f.combination(cmd); err != nil {
		return exit(exitUsage, err)
	}
	cfg, err := f.config(log)
	if err != nil {
		return exit(exitUsage, err)
	}
	if f.print {
		fmt.Fprint(cmd.OutOrStdout(), cfg.Properties())
		return nil
	}
	for _, note := range cfg.Notes {
		log.Info(note)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := untilSignal(cmd.Context())
	defer stop()
	if f.standalone {
		return runStandalone(ctx, cmd, f.listen, cfg)
	}
	s, err := server.Start(ctx, cfg)
	if err != nil {
		return exit(exitBroken, err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "ready broker=%s ha=%s%s\n", s.Addr(), s.HAAddr(), metricsAt(s))
	return serve(ctx, s, s)
}

// gcPercent is how much the heap may grow beyond what is in use, in percent of it, unless GOGC says: a broker under load makes so little
// garbage that a small heap costs next to nothing.
const gcPercent = 50

// config returns what the flags, and the file among them, say.
func (f *brokerFlags) config(log *slog.Logger) (server.Config, error) {
	var cfg server.Config
	if f.standalone {
		host, _, err := net.SplitHostPort(f.listen)
		if err != nil {
			return cfg, err
		}
		cfg = server.DefaultConfig(durability.Profile(f.profile))
		cfg.Listen, cfg.StoreDir = net.JoinHostPort(host, strconv.Itoa(int(f.brokerPort))), f.store
	} else {
		var err error
		if cfg, err = server.ReadConf(f.conf); err != nil {
			return cfg, err
		}
	}
	cfg.Log, cfg.ClockPage = log, os.Getenv(clock.Env)
	if f.namesrv != "" {
		cfg.Node.NameServers = server.Addresses(f.namesrv)
	}
	if f.metrics != "" {
		cfg.MetricsListen = f.metrics
	}
	if f.advertise != "" {
		cfg.Advertise = f.advertise
	}
	return cfg, cfg.Node.Validate()
}

// combination refuses flags that the chosen form would ignore, and an address that is none.
func (f *brokerFlags) combination(cmd *cobra.Command) error {
	form, ignored := "-c FILE", []string{"listen", "broker-port", "store", "profile"}
	if f.standalone {
		form, ignored = "--standalone", []string{"namesrv"}
	}
	for _, flag := range ignored {
		if cmd.Flags().Changed(flag) {
			return fmt.Errorf("--%s has no effect with %s", flag, form)
		}
	}
	if err := server.CheckAdvertise(f.advertise); err != nil {
		return fmt.Errorf("--advertise: %w", err)
	}
	if f.metrics != "" {
		if err := checkAddress("--metrics", f.metrics); err != nil {
			return err
		}
	}
	return checkAddress("--listen", f.listen)
}

// metricsUsage describes --metrics of broker and namesrv.
const metricsUsage = "HOST:PORT of /metrics (Prometheus), /healthz and /readyz; port 0 chooses one (default: none)"

// metricsAt is what the ready line says of the metrics: nothing when there are none.
func metricsAt(s *server.Server) string {
	if s.MetricsAddr() == "" {
		return ""
	}
	return " metrics=" + s.MetricsAddr()
}

// checkAddress errs when the address of a flag is not HOST:PORT.
func checkAddress(flag, address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%s %s: the port is not a number from 0 to 65535", flag, address)
	}
	return nil
}

func runStandalone(ctx context.Context, cmd *cobra.Command, listen string, cfg server.Config) error {
	s, err := server.StartStandalone(ctx, listen, cfg)
	if err != nil {
		return exit(exitBroken, err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "ready namesrv=%s broker=%s%s\n", s.Names.Addr(), s.Broker.Addr(), metricsAt(s.Broker))
	return serve(ctx, s.Broker, s)
}

// untilSignal returns a context that ends with the first SIGINT or SIGTERM, or by stop. A second signal then ends the process at
// once, as if nobody listened: the first is no longer waited for when the context ends.
func untilSignal(parent context.Context) (ctx context.Context, stop func()) {
	ctx, stop = context.WithCancel(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
		case <-ctx.Done():
		}
		signal.Stop(signals)
		stop()
	}()
	return ctx, stop
}

// serve waits for a signal, or for the node to end by itself, and closes all that runs.
func serve(ctx context.Context, s *server.Server, all interface{ Close() error }) error {
	select {
	case <-ctx.Done():
	case <-s.Done():
	}
	if err := all.Close(); err != nil {
		return exit(exitBroken, err)
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"holdfast/broker/durability"
	"holdfast/broker/route"
	"holdfast/broker/server"
	"holdfast/nemesis/clock"
)

// brokerFlags are what the broker command takes.
type brokerFlags struct {
	conf       string
	namesrv    string
	standalone bool
	listen     string
	store      string
	profile    string
	metrics    string
	verbose    bool
}

func newBrokerCommand() *cobra.Command {
	var f brokerFlags
	cmd := &cobra.Command{
		Use:     "broker",
		Short:   "Run the reference broker: RocketMQ's protocol, flush types and roles, in milliseconds.",
		Example: "  holdfast broker --standalone --listen 127.0.0.1:9876\n  holdfast broker -c broker.conf -n 127.0.0.1:9876",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runBroker(cmd, &f)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.conf, "config", "c", "", "broker.conf with RocketMQ's own property names")
	flags.StringVarP(&f.namesrv, "namesrv", "n", "", "addresses of name servers, separated by ';' (default: namesrvAddr of the file)")
	flags.BoolVar(&f.standalone, "standalone", false, "name server and broker in one process, without a file")
	flags.StringVar(&f.listen, "listen", "127.0.0.1:9876", "with --standalone: address of the name server; port 0 chooses one")
	flags.StringVar(&f.store, "store", "", "with --standalone: directory of the store (default: in memory)")
	flags.StringVar(&f.profile, "profile", string(durability.RocketMQ5), "with --standalone: semantics, rocketmq-4.9, rocketmq-5 or holdfast")
	flags.StringVar(&f.metrics, "metrics", "", metricsUsage)
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "log what happens, too, not only what goes wrong")
	return cmd
}

func runBroker(cmd *cobra.Command, f *brokerFlags) error {
	log := nodeLog(f.verbose)
	if f.standalone == (f.conf != "") {
		return exit(exitUsage, errors.New("broker needs either -c FILE or --standalone"))
	}
	if err := f.combination(cmd); err != nil {
		return exit(exitUsage, err)
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if f.standalone {
		return runStandalone(ctx, cmd, f, log)
	}
	cfg, err := server.ReadConf(f.conf)
	if err != nil {
		return exit(exitUsage, err)
	}
	cfg.Log, cfg.ClockPage = log, os.Getenv(clock.Env)
	if f.namesrv != "" {
		cfg.Node.NameServers = server.Addresses(f.namesrv)
	}
	for _, note := range cfg.Notes {
		log.Info(note)
	}
	if f.metrics != "" {
		cfg.MetricsListen = f.metrics
	}
	s, err := server.Start(ctx, cfg)
	if err != nil {
		return exit(exitBroken, err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "ready broker=%s ha=%s%s\n", s.Addr(), s.HAAddr(), metricsAt(s))
	return serve(ctx, s)
}

// combination refuses flags that the chosen form would ignore, and an address that is none.
func (f *brokerFlags) combination(cmd *cobra.Command) error {
	form, ignored := "-c FILE", []string{"listen", "store", "profile"}
	if f.standalone {
		form, ignored = "--standalone", []string{"namesrv"}
	}
	for _, flag := range ignored {
		if cmd.Flags().Changed(flag) {
			return fmt.Errorf("--%s has no effect with %s", flag, form)
		}
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

// registerWait bounds the time that a standalone broker needs to enter its own name server.
const registerWait = 5 * time.Second

func runStandalone(ctx context.Context, cmd *cobra.Command, f *brokerFlags, log *slog.Logger) error {
	names, err := server.StartNameServer(context.WithoutCancel(ctx), server.Config{Listen: f.listen, Log: log}, route.DefaultConfig())
	if err != nil {
		return exit(exitBroken, err)
	}
	defer names.Close()
	cfg := server.DefaultConfig(durability.Profile(f.profile))
	host, _, err := net.SplitHostPort(f.listen)
	if err != nil {
		return exit(exitUsage, err)
	}
	cfg.Listen, cfg.StoreDir, cfg.Log = net.JoinHostPort(host, "0"), f.store, log
	cfg.ClockPage, cfg.MetricsListen = os.Getenv(clock.Env), f.metrics
	cfg.Node.NameServers = []string{names.Addr()}
	if err := cfg.Node.Validate(); err != nil {
		return exit(exitUsage, err)
	}
	s, err := server.Start(ctx, cfg)
	if err != nil {
		return exit(exitBroken, err)
	}
	select {
	case <-s.Registered():
	case <-time.After(registerWait):
		s.Close()
		return exit(exitBroken, fmt.Errorf("the broker was not registered within %v", registerWait))
	}
	fmt.Fprintf(cmd.OutOrStdout(), "ready namesrv=%s broker=%s%s\n", names.Addr(), s.Addr(), metricsAt(s))
	return serve(ctx, s)
}

// serve waits for a signal, or for the node to end by itself, and closes it.
func serve(ctx context.Context, s *server.Server) error {
	select {
	case <-ctx.Done():
	case <-s.Done():
	}
	if err := s.Close(); err != nil {
		return exit(exitBroken, err)
	}
	return nil
}

// nodeLog logs to standard error: what an operator should look at, and with verbose everything.
func nodeLog(verbose bool) *slog.Logger {
	level := slog.LevelWarn
	if verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

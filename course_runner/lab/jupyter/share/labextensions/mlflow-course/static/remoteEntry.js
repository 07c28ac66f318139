// A JupyterLab extension without a build step. JupyterLab loads a script that puts a container (init, get) under its
// name into _JUPYTERLAB; bundlers write one of several kilobytes, this is the same by hand (JupyterLab 4.6).
(() => {
  'use strict';

  const OPEN = 'mlflow-course:open-ui';
  const SEEN = 'mlflow-course:toc-shown';

  // What the MLflow UI (3.17) remembers in the browser, unless the learner has chosen: the view for models instead of the
  // one for GenAI, no assistant that opens by itself and wants an account, no report of clicks over the network, no
  // window before the model registry, the traces or one trace.
  const DEFAULTS = {
    'mlflow.workflowType_v1': '"machine_learning"',
    'mlflow.assistant.fab.autoOpenedOnFirstLoad_v1': 'true',
    'mlflow.settings.telemetry.enabled_v1': 'false',
    'mlflow.telemetry.info.alert.dismissed_v1': 'true',
    '_mlflow_model_registry_promo_modal_dismissed_v1': 'true',
    'mlflow.detectIssues.guidanceShown_v1': 'true',
    'mlflow.flagForReview.guidanceShown_v1': 'true'
  };

  // JupyterLab 4.6 drops the alternative text that a figure of the course carries in its metadata; put it back.
  const describeFigures = panel => {
    for (const { outputArea } of panel.content.widgets) {
      outputArea?.widgets.forEach((child, i) => {
        const image = child.node.querySelector('.jp-RenderedImage img:not([alt])');
        const words = image && outputArea.model.get(i)?.metadata['image/png']?.alt;
        if (words) {
          image.alt = words;
        }
      });
    }
  };

  // A kernel that starts writes its exact Python into the notebook, and JupyterLab 4.6 then counts it as changed: it would
  // save a lecture that somebody only looked at. The outcome is not worth a mark; all later changes are.
  const staysUnchanged = model => {
    model.metadataChanged.connect((_, change) => {
      if (change.key === 'language_info' && !model.dirty) {
        void Promise.resolve().then(() => {
          model.dirty = false;
        });
      }
    });
  };

  // A figure is drawn on white, and its words speak of what is black or darker: in the dark theme it is dimmed, not inverted.
  //
  // jupyterquiz 2.9 writes its feedback in dark red and dark green, which nobody can read on a dark page. JupyterLab 4.6
  // tells a link in printed text from the words around it by its colour alone.
  const READABLE = `
    .jp-RenderedText pre a { text-decoration: underline !important }
    [data-jp-theme-light="false"] :is(.jp-RenderedImage, .jp-RenderedMarkdown) img { background: #fff; filter: brightness(0.85) }
    [data-jp-theme-light="false"] .Feedback.incorrect { color: #ff9d9d }
    [data-jp-theme-light="false"] .Feedback.correct { color: #7ddc8f }`;

  const activate = app => {
    document.head.appendChild(document.createElement('style')).textContent = READABLE;

    for (const [key, value] of Object.entries(DEFAULTS)) {
      if (localStorage.getItem(key) === null) {
        localStorage.setItem(key, value);
      }
    }

    const base = app.serviceManager.serverSettings.baseUrl + 'mlflow/';

    // The UI's server starts when somebody first asks for it: before the reader clicks, and not before the first kernel is
    // ready, for which the reader waits.
    let asked = false;
    const startServer = () => {
      if (!asked) {
        asked = true;
        void fetch(base + 'health', { headers: { Authorization: `token ${app.serviceManager.serverSettings.token}` } });
      }
    };
    app.commands.addCommand(OPEN, {
      label: 'Open the MLflow UI',
      execute: async () => {
        // A tab that is open shows what the reader looked at last: perhaps another lecture's run.
        for (const frame of document.querySelectorAll('.jp-ServerProxy iframe')) {
          if (frame.contentWindow.location.href.startsWith(base)) {
            frame.contentWindow.location.hash = '#/experiments';
          }
        }
        // The same arguments as the launcher's tile has, so that both show one and the same tab.
        await app.commands.execute('server-proxy:open', {
          id: 'server-proxy:mlflow',
          title: 'MLflow',
          url: base + '#/experiments',
          newBrowserTab: false
        });
      }
    });

    // A lecture's link to the UI leads to lecture 00, where a reader on the web learns how to open it; here it opens it.
    // Capturing: before JupyterLab's own listener opens lecture 00.
    document.addEventListener(
      'click',
      event => {
        const link = event.target.closest?.('.jp-RenderedMarkdown a[title="Open the MLflow UI"]');
        if (link && !event.ctrlKey && !event.metaKey) {
          event.preventDefault();
          event.stopPropagation();
          void app.commands.execute(OPEN);
        }
      },
      true
    );

    app.docRegistry.addWidgetExtension('Notebook', {
      createNew: (panel, context) => {
        staysUnchanged(context.model);
        context.sessionContext.statusChanged.connect((_, status) => {
          if (status === 'idle') {
            startServer();
          }
        });
        let waiting = 0;
        const observer = new MutationObserver(() => {
          waiting ||= setTimeout(() => {
            waiting = 0;
            describeFigures(panel);
          }, 200);
        });
        observer.observe(panel.content.node, { childList: true, subtree: true });
        return { isDisposed: false, dispose: () => observer.disconnect() };
      }
    });

    // Without a notebook there is no kernel to wait for.
    void app.restored.then(() => setTimeout(startServer, 10000));

    // Once per browser: whoever closes the table of contents has decided.
    void app.restored.then(() => {
      if (!localStorage.getItem(SEEN)) {
        localStorage.setItem(SEEN, 'yes');
        app.shell.activateById('table-of-contents');
      }
    });
  };

  const plugin = {
    id: 'mlflow-course:plugin',
    description: "Opens the MLflow UI from a lecture's link.",
    autoStart: true,
    activate
  };

  (window._JUPYTERLAB = window._JUPYTERLAB || {})['mlflow-course'] = {
    init: () => undefined,
    get: () => Promise.resolve(() => ({ __esModule: true, default: plugin }))
  };
})();

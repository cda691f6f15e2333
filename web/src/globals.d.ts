/** The version of the `tidegate` package which was bundled, from its manifest. */
declare const __TIDEGATE_VERSION__: string;
